"""Read by mypy and pyright, never run: the types that users rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, assert_type

from pydantic import BaseModel, TypeAdapter

from c2dkit import (
    AsyncTokenCredential,
    CloudSender,
    DeadLetter,
    DeadLetters,
    DeviceCredential,
    DeviceReceiver,
    EntraCredential,
    FeedbackRecord,
    FeedbackStatus,
    FeedbackStream,
    Journal,
    MemoryDeadLetters,
    MemoryJournal,
    Receipt,
    ReceivedMessage,
    ServiceCredential,
    Settlement,
    SqliteDeadLetters,
    SqliteJournal,
)
from c2dkit.hub import BackgroundHub, LocalHub, TokenIssuer
from c2dkit.transports import (
    AmqpDeviceTransport,
    AmqpServiceTransport,
    DeviceTransport,
    HttpsServiceTransport,
    MqttDeviceTransport,
    ServiceTransport,
)


@dataclass
class Reboot:
    delay_s: int


class Model(BaseModel):
    delay_s: int


def transports_fit_their_ports(device: DeviceCredential, service: ServiceCredential) -> None:
    amqp: DeviceTransport = AmqpDeviceTransport(device)
    mqtt: DeviceTransport = MqttDeviceTransport(device)
    back_end: ServiceTransport = AmqpServiceTransport(service)
    assert_type(amqp.settlements, frozenset[Settlement])
    assert_type(mqtt.name, str)
    assert_type(CloudSender(back_end), CloudSender)


class AccessToken(NamedTuple):
    """As azure-core has it."""

    token: str
    expires_on: int


class AzureCredential:
    """As azure-core's ``AsyncTokenCredential`` has it."""

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: object,
    ) -> AccessToken:
        raise NotImplementedError(scopes, claims, tenant_id, enable_cae, kwargs)


def credentials_of_azure_identity_fit(azure: AzureCredential, issuer: TokenIssuer) -> None:
    accepted: AsyncTokenCredential = azure
    credential = EntraCredential(host_name="hub.localtest", token_credential=accepted)
    transports: list[ServiceTransport] = [AmqpServiceTransport(credential), HttpsServiceTransport(credential)]
    assert_type(CloudSender(transports[0]), CloudSender)
    assert_type(issuer.credential(), AsyncTokenCredential)


async def payload_type_decides(device: str, transport: DeviceTransport) -> None:
    async with DeviceReceiver.from_connection_string(device, payload_type=Reboot) as receiver:
        async for message in receiver:
            assert_type(message, ReceivedMessage[Reboot])
            assert_type(message.payload, Reboot)
            assert_type(message.body, bytes)
            assert_type(message.properties, Mapping[str, str | None])
            assert_type(message.delivery_count, int | None)
            await message.complete()
    assert_type(DeviceReceiver(transport, payload_type=Model), DeviceReceiver[Model])
    assert_type(DeviceReceiver(transport, payload_type=str), DeviceReceiver[str])
    assert_type(DeviceReceiver(transport, payload_type=TypeAdapter(list[int])), DeviceReceiver[list[int]])


async def handle(message: ReceivedMessage[Reboot]) -> None:
    assert_type(message.lock_remaining, timedelta | None)


async def handling(receiver: DeviceReceiver[Reboot], path: str) -> None:
    journals: list[Journal] = [MemoryJournal(), SqliteJournal(path)]
    places: list[DeadLetters] = [MemoryDeadLetters(), SqliteDeadLetters(path)]
    for journal, dead_letters in zip(journals, places, strict=True):
        await receiver.run(
            handle, key=lambda message: str(message.payload.delay_s), journal=journal, dead_letters=dead_letters
        )
    assert_type(await MemoryDeadLetters().letters(), list[DeadLetter])


async def back_end(service: str) -> None:
    async with CloudSender.from_connection_string(service) as sender:
        receipt = await sender.send("dev-1", b"body", ack="full")
        assert_type(receipt, Receipt)
        assert_type(await receipt.outcome(timeout=timedelta(minutes=1)), FeedbackRecord)
        assert_type(await sender.send_and_confirm("dev-1", b"body", message_id="m1"), FeedbackRecord)
    async with FeedbackStream.from_connection_string(service) as feedback:
        async for record in feedback:
            assert_type(record, FeedbackRecord)
            assert_type(record.status, FeedbackStatus)


def a_hub_in_a_thread(hub: BackgroundHub) -> None:
    assert_type(hub.queue_depth("dev-1"), int)
    assert_type(hub.call(LocalHub.issue_certificate, "dev-1"), bytes)
    assert_type(hub.call(LocalHub.disconnect_all), None)
    assert_type(hub.call(lambda local: local.ports), tuple[int, ...])
