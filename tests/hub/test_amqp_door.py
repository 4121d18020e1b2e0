"""The AMQP door through a real socket, spoken to by the client's engine."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

import anyio
import pytest

from c2dkit._errors import ConnectionLostError
from c2dkit._models import Ack, Message
from c2dkit._protocols import amqp
from c2dkit._rules import sas
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._wire import cbs
from c2dkit._wire.amqp import (
    FEEDBACK_ADDRESS,
    SERVICE_ADDRESS,
    decode_feedback,
    decode_message,
    device_address,
    encode_message,
)
from c2dkit.hub import HubOptions, LocalHub, TokenIssuer
from c2dkit.hub import _amqp as door
from c2dkit.hub import _amqp_cbs as cbs_node
from c2dkit.hub import _amqp_grants as grants
from c2dkit.hub import _amqp_queues as queues
from c2dkit.transports import AmqpDeviceTransport, MqttDeviceTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import ByteStream

EventT = TypeVar("EventT")

DEVICE = "dev-1"
TO = "/devices/dev-1/messages/devicebound"


class Client:
    """The client's engine over a stream; the test reads for it."""

    def __init__(self, stream: ByteStream, sasl: amqp.SaslClient | None) -> None:
        self.engine = amqp.Connection(container_id="test", hostname="localhost", sasl=sasl)
        self._stream = stream
        self._events: list[object] = []
        self._tokens: tuple[amqp.SenderLink, amqp.ReceiverLink] | None = None

    async def send(self) -> None:
        await self._stream.send(self.engine.data_to_send())

    async def next(self, kind: type[EventT], *, skip: type[object] | tuple[type[object], ...] = ()) -> EventT:
        while True:
            while not self._events:
                self._events.extend(self.engine.receive_data(await self._stream.receive()))
                if data := self.engine.data_to_send():
                    await self._stream.send(data)
            event = self._events.pop(0)
            if isinstance(event, kind):
                return event
            assert isinstance(event, skip), event

    async def closed(self) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                self._events.extend(self.engine.receive_data(await self._stream.receive()))

    async def begin(self) -> amqp.Session:
        session = self.engine.begin()
        await self.send()
        await self.next(amqp.SessionBegun, skip=amqp.Opened)
        return session

    async def receiver(
        self, session: amqp.Session, address: str, *, credit: int = 10, rcv_settle_mode: int | None = None
    ) -> amqp.ReceiverLink:
        link = session.attach_receiver(
            uuid4().hex,
            source=amqp.Source(address=address),
            target=amqp.Target(address="here"),
            rcv_settle_mode=rcv_settle_mode,
            properties={"com.microsoft:client-version": "test"},
        )
        await self.send()
        await self.next(amqp.LinkAttached)
        link.flow(credit)
        await self.send()
        return link

    async def sender(self, session: amqp.Session, address: str) -> amqp.SenderLink:
        link = session.attach_sender(uuid4().hex, source=amqp.Source(), target=amqp.Target(address=address))
        await self.send()
        await self.next(amqp.LinkAttached)
        await self.next(amqp.LinkFlowed)
        return link

    async def put_token(
        self,
        session: amqp.Session,
        token: str,
        message_id: cbs.MessageId = "id-1",
        token_type: str = cbs.SAS_TOKEN_TYPE,
    ) -> cbs.TokenAnswer:
        if self._tokens is None:
            self._tokens = await self.sender(session, "$cbs"), await self.receiver(session, "$cbs")
        requests, answers = self._tokens
        payload = cbs.encode_put_token(cbs.PutToken(message_id, "any audience", token, token_type))
        delivery_id = requests.send(payload, tag=b"1")
        await self.send()
        # The request is settled before it is answered.
        assert await self.next(amqp.DeliveryUpdated) == (requests, delivery_id, amqp.Accepted(), True)
        event = await self.next(amqp.TransferReceived)
        answers.settle(event.delivery_id, amqp.Accepted())
        await self.send()
        return cbs.decode_answer(event.payload)

    async def settle(self, event: amqp.TransferReceived, state: amqp.Outcome) -> amqp.DeliveryState | None:
        """Tell an outcome and return what the hub says of it (receiver settle mode second)."""
        event.link.settle(event.delivery_id, state, settled=False)
        await self.send()
        update = await self.next(amqp.DeliveryUpdated)
        assert (update.delivery_id, update.settled) == (event.delivery_id, True)
        return update.state


def device_credential(hub: LocalHub, device_id: str = DEVICE) -> DeviceCredential:
    return DeviceCredential.from_connection_string(hub.device_connection_string(device_id))


def token_of(hub: LocalHub, device_id: str | None = None) -> str:
    if device_id is None:
        return ServiceCredential.from_connection_string(hub.service_connection_string).token(datetime.now(UTC)).text
    return device_credential(hub, device_id).token(datetime.now(UTC)).text


@asynccontextmanager
async def connection(
    hub: LocalHub, sasl: amqp.SaslClient | None = None, context: ssl.SSLContext | None = None
) -> AsyncGenerator[Client]:
    context = context or hub.ssl_context()
    stream = await anyio.connect_tcp(
        "localhost", hub.port, ssl_context=context, tls_hostname="localhost", tls_standard_compatible=False
    )
    with anyio.fail_after(20):
        try:
            client = Client(stream, sasl)
            client.engine.open()
            yield client
        finally:
            await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def signed_in(hub: LocalHub, device_id: str | None = None) -> AsyncGenerator[tuple[Client, amqp.Session]]:
    """Connect without SASL and put a token: the device's, or that of a back end."""
    async with connection(hub) as client:
        session = await client.begin()
        assert (await client.put_token(session, token_of(hub, device_id))).status_code == 200
        yield client, session


def queue(hub: LocalHub, *bodies: bytes, device_id: str = DEVICE, ack: Ack | None = None) -> None:
    for body in bodies:
        to = f"/devices/{device_id}/messages/devicebound"
        hub._state.send(Message(body, message_id=body.decode(), to=to, ack=ack))


@pytest.mark.parametrize("sasl", [None, amqp.mssbcbs(), amqp.anonymous()])
async def test_a_connection_is_opened_as_the_service_does_it(sasl: amqp.SaslClient | None) -> None:
    async with LocalHub() as hub, connection(hub, sasl) as client:
        await client.begin()
        remote = client.engine.remote_open
        assert remote is not None
        assert remote.container_id.startswith("DeviceGateway_")
        assert remote.max_frame_size == 65536


@pytest.mark.parametrize("message_id", [amqp.ULong(0), "text", UUID(int=7)])
async def test_a_token_is_answered_with_the_id_of_the_request(message_id: cbs.MessageId) -> None:
    async with LocalHub() as hub, connection(hub) as client:
        answer = await client.put_token(await client.begin(), token_of(hub, DEVICE), message_id)
        assert answer == cbs.TokenAnswer(message_id, 200, "OK")
        assert type(answer.correlation_id) is type(message_id)


async def refusal(client: Client, session: amqp.Session, *, source: str = "", target: str = "") -> str:
    """Attach where the hub refuses, and return the condition."""
    if source:
        session.attach_receiver("refused", source=amqp.Source(address=source), target=amqp.Target())
    else:
        session.attach_sender("refused", source=amqp.Source(), target=amqp.Target(address=target))
    await client.send()
    event = await client.next(amqp.LinkDetached, skip=amqp.LinkAttached)
    assert event.closed
    assert event.error is not None
    return event.error.condition


async def test_an_address_that_the_hub_does_not_have_is_refused_as_the_service_does_it() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        session.attach_receiver("twin", source=amqp.Source(address="/devices/dev-1/twin"), target=amqp.Target())
        await client.send()
        event = await client.next(amqp.LinkDetached, skip=amqp.LinkAttached)
        assert event.error is not None
        assert event.error.condition == "amqp:not-found"
        assert json.loads(event.error.description or "")["errorCode"] == 404006
        assert event.error.info is not None
        assert event.error.info["com.microsoft:is-filtered"] is True


@pytest.mark.parametrize(
    "address",
    [
        "/devices/dev-1/messages/devicebound",
        "/devices/dev-1/messages/deviceBound",
        "amqps://localhost/devices/dev-1/messages/devicebound",
        "amqps://localhost:5671/devices/dev%2D1/messages/deviceBound",
    ],
)
async def test_every_spelling_of_a_device_address_receives(address: str) -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, address, rcv_settle_mode=amqp.FIRST)
        assert isinstance(link.source, amqp.Source)
        assert link.source.address == address
        assert link.target == amqp.Target(address="here")
        assert link.rcv_settle_mode == amqp.SECOND
        assert link.properties == {"com.microsoft:client-version": "test"}
        queue(hub, b"m1")
        event = await client.next(amqp.TransferReceived)
        assert (len(event.tag), event.settled) == (16, False)
        message = decode_message(event.payload)
        assert (message.body, message.to, message.delivery_count) == (b"m1", TO, 0)


async def test_the_hub_confirms_a_settlement_that_it_is_asked_to_confirm() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE), rcv_settle_mode=amqp.SECOND)
        queue(hub, b"complete", b"reject")
        completed = await client.next(amqp.TransferReceived)
        rejected = await client.next(amqp.TransferReceived)
        assert await client.settle(rejected, amqp.Rejected()) == amqp.Rejected()
        assert hub.queue_depth(DEVICE) == 1
        assert await client.settle(completed, amqp.Accepted()) == amqp.Accepted()
        assert hub.queue_depth(DEVICE) == 0


@pytest.mark.parametrize("outcome", [amqp.Released(), amqp.Modified(delivery_failed=True), None])
async def test_an_abandoned_message_comes_again(outcome: amqp.Outcome | None) -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1")
        first = await client.next(amqp.TransferReceived)
        link.settle(first.delivery_id, outcome)
        await client.send()
        again = await client.next(amqp.TransferReceived)
        assert again.tag != first.tag
        assert decode_message(again.payload).delivery_count == 1


async def test_a_settled_disposition_is_applied() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1", b"m2")
        event = await client.next(amqp.TransferReceived)
        link.settle(event.delivery_id, amqp.Accepted())
        await client.settle(await client.next(amqp.TransferReceived), amqp.Accepted())
        assert hub.queue_depth(DEVICE) == 0


async def test_who_settles_nothing_is_not_sent_the_same_over_and_over() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE), credit=10_000)
        queue(hub, *(f"m{number}".encode() for number in range(50)))
        events = [await client.next(amqp.TransferReceived) for _ in range(50)]
        hub.clock.advance(timedelta(seconds=61))  # all locks end, and the messages are sent once more
        events += [await client.next(amqp.TransferReceived) for _ in range(50)]
        assert len(events) == queues.MAX_UNSETTLED
        hub.clock.advance(timedelta(seconds=61))
        await client.sender(session, "/devices/dev-1/messages/events")  # a round trip, in which nothing else comes
        events[0].link.settle(events[0].delivery_id, amqp.Accepted())
        await client.send()
        await client.next(amqp.TransferReceived)  # and there is room for one more


async def test_a_settlement_after_the_lock_is_refused() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1")
        first = await client.next(amqp.TransferReceived)
        hub.clock.advance(timedelta(seconds=61))
        await client.next(amqp.TransferReceived)  # delivered again
        answer = await client.settle(first, amqp.Accepted())
        assert isinstance(answer, amqp.Rejected)
        assert answer.error is not None
        assert answer.error.condition == "com.microsoft:message-lock-lost"
        assert hub.queue_depth(DEVICE) == 1


async def test_nothing_is_sent_without_credit() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE), credit=1)
        queue(hub, b"m1", b"m2")
        first = await client.next(amqp.TransferReceived)
        # Settled and confirmed: had the hub sent m2 without credit, it would come before the confirmation.
        await client.settle(first, amqp.Accepted())
        link.flow(1)
        await client.send()
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"m2"


async def test_a_drained_link_gives_its_credit_up() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1")
        await client.next(amqp.TransferReceived)
        link.flow(9, drain=True)
        await client.send()
        await client.next(amqp.LinkFlowed)
        assert link.credit == 0


async def test_what_a_lost_connection_held_is_delivered_again_at_once() -> None:
    async with LocalHub() as hub:
        async with signed_in(hub, DEVICE) as (client, session):
            await client.receiver(session, device_address(DEVICE))
            queue(hub, b"m1")
            await client.next(amqp.TransferReceived)
        async with signed_in(hub, DEVICE) as (client, session):
            await client.receiver(session, device_address(DEVICE))
            message = decode_message((await client.next(amqp.TransferReceived)).payload)
            assert (message.body, message.delivery_count) == (b"m1", 0)


async def test_a_second_link_of_the_device_takes_over() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (old, old_session):
        await old.receiver(old_session, device_address(DEVICE))
        queue(hub, b"m1")
        await old.next(amqp.TransferReceived)
        async with signed_in(hub, DEVICE) as (new, new_session):
            await new.receiver(new_session, device_address(DEVICE))
            assert decode_message((await new.next(amqp.TransferReceived)).payload).body == b"m1"
            event = await old.next(amqp.LinkDetached)
            assert event.error is not None
            assert event.error.condition == "amqp:link:stolen"
            queue(hub, b"m2")
            assert decode_message((await new.next(amqp.TransferReceived)).payload).body == b"m2"


async def test_devices_share_a_connection_each_with_its_token() -> None:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub, signed_in(hub, "dev-1") as (client, session):
        assert (await client.put_token(session, token_of(hub, "dev-2"))).status_code == 200
        for device_id in ("dev-1", "dev-2"):
            await client.receiver(session, device_address(device_id))
        for device_id in ("dev-2", "dev-1"):
            queue(hub, b"m", device_id=device_id)
            message = decode_message((await client.next(amqp.TransferReceived)).payload)
            assert message.to == f"/devices/{device_id}/messages/devicebound"


async def test_a_link_ends_with_its_token_and_a_renewed_one_goes_on() -> None:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub, signed_in(hub, "dev-1") as (client, session):
        await client.put_token(session, token_of(hub, "dev-2"))
        link = await client.receiver(session, device_address("dev-1"))
        await client.receiver(session, device_address("dev-2"))
        hub.clock.advance(timedelta(minutes=50))
        renewed = device_credential(hub, "dev-2").token(hub.clock.now()).text
        assert (await client.put_token(session, renewed)).status_code == 200
        hub.clock.advance(timedelta(minutes=11))
        event = await client.next(amqp.LinkDetached)
        assert event.link is link
        assert event.error is not None
        assert event.error.condition == "amqp:unauthorized-access"
        queue(hub, b"m", device_id="dev-2")
        await client.next(amqp.TransferReceived)


@pytest.mark.parametrize("case", ["device", "service"])
async def test_plain_needs_no_token_beside_it(case: str) -> None:
    async with LocalHub() as hub:
        if case == "device":
            sasl = amqp.plain("dev-1@sas.localhost", token_of(hub, DEVICE))
        else:
            sasl = amqp.plain("service@sas.root.localhost", token_of(hub))
        async with connection(hub, sasl) as client:
            session = await client.begin()
            await client.receiver(session, device_address(DEVICE) if case == "device" else FEEDBACK_ADDRESS)


@pytest.mark.parametrize(
    "sasl", [amqp.plain("dev-1@sas.localhost", "SharedAccessSignature sr=x&sig=x&se=1"), amqp.external()]
)
async def test_sasl_without_a_good_credential_fails(sasl: amqp.SaslClient) -> None:
    async with LocalHub() as hub, connection(hub, sasl) as client:
        await client.send()
        assert (await client.next(amqp.SaslFailed)).code == 1


async def test_a_back_end_sends_and_is_told_that_the_message_is_queued() -> None:
    async with LocalHub() as hub, signed_in(hub) as (client, session):
        link = await client.sender(session, "amqps://localhost/messages/devicebound")
        delivery_id = link.send(encode_message(Message(b"m1", to=TO)), tag=b"0")
        await client.send()
        assert await client.next(amqp.DeliveryUpdated) == (link, delivery_id, amqp.Accepted(), True)
        assert hub.queue_depth(DEVICE) == 1


@pytest.mark.parametrize(
    ("payload", "condition"),
    [
        (encode_message(Message(b"", to="/devices/nobody/messages/devicebound")), "amqp:not-found"),
        (encode_message(Message(b"x" * 65_537, to=TO)), "amqp:link:message-size-exceeded"),
        (encode_message(Message(b"")), "com.microsoft:argument-error"),
        (b"\x00\x53\x75\xa0\x05no", "amqp:decode-error"),
    ],
    ids=["unknown-device", "too-large", "no-address", "garbage"],
)
async def test_a_message_that_cannot_be_queued_is_rejected(payload: bytes, condition: str) -> None:
    async with LocalHub() as hub, signed_in(hub) as (client, session):
        link = await client.sender(session, SERVICE_ADDRESS)
        link.send(payload, tag=b"0")
        await client.send()
        event = await client.next(amqp.DeliveryUpdated)
        assert event.settled
        assert isinstance(event.state, amqp.Rejected)
        assert event.state.error is not None
        assert event.state.error.condition == condition


async def test_the_51st_message_is_rejected_and_credit_goes_on() -> None:
    async with LocalHub() as hub, signed_in(hub) as (client, session):
        link = await client.sender(session, SERVICE_ADDRESS)
        states: list[amqp.DeliveryState | None] = []
        for _ in range(150):
            while not link.credit:
                await client.next(amqp.LinkFlowed)
            link.send(encode_message(Message(b"", to=TO)), tag=b"0")
            await client.send()
            states.append((await client.next(amqp.DeliveryUpdated, skip=amqp.LinkFlowed)).state)
        assert states[:50] == [amqp.Accepted()] * 50
        assert isinstance(states[50], amqp.Rejected)
        assert states[50].error is not None
        assert states[50].error.condition == "amqp:resource-limit-exceeded"
        assert len(states) == 150


async def test_feedback_comes_in_batches_and_is_confirmed() -> None:
    async with (
        LocalHub(options=HubOptions(feedback_interval=timedelta(0))) as hub,
        signed_in(hub) as (client, session),
        signed_in(hub, DEVICE) as (device, device_session),
    ):
        await client.receiver(session, FEEDBACK_ADDRESS, rcv_settle_mode=amqp.SECOND)
        await device.receiver(device_session, device_address(DEVICE))
        queue(hub, b"m1", ack=Ack.FULL)
        await device.settle(await device.next(amqp.TransferReceived), amqp.Accepted())
        event = await client.next(amqp.TransferReceived)
        assert len(event.tag) == 16
        decoded = amqp.decode_message(event.payload)
        assert decoded.properties is not None
        assert decoded.properties.content_type == "application/vnd.microsoft.iothub.feedback.json"
        assert decoded.properties.user_id == b"localhost"
        assert isinstance((decoded.message_annotations or {})["iothub-enqueuedtime"], amqp.Timestamp)
        (record,) = decode_feedback(event.payload)
        assert (record.original_message_id, record.device_id, record.status) == ("m1", DEVICE, "Success")
        assert await client.settle(event, amqp.Released()) == amqp.Released()
        again = await client.next(amqp.TransferReceived)
        assert await client.settle(again, amqp.Accepted()) == amqp.Accepted()


async def test_feedback_that_a_lost_connection_held_goes_to_another() -> None:
    async with LocalHub(options=HubOptions(feedback_interval=timedelta(0))) as hub, signed_in(hub) as (other, session):
        async with signed_in(hub) as (client, lost_session):
            await client.receiver(lost_session, FEEDBACK_ADDRESS)
            queue(hub, b"m1", ack=Ack.FULL)
            hub._state.purge(DEVICE)
            await client.next(amqp.TransferReceived)
            await other.receiver(session, FEEDBACK_ADDRESS)
        (record,) = decode_feedback((await other.next(amqp.TransferReceived)).payload)
        assert (record.original_message_id, record.status) == ("m1", "Purged")


async def test_nothing_is_kept_of_a_connection_that_is_over() -> None:
    async with LocalHub() as hub:
        for device_id, address in ((DEVICE, device_address(DEVICE)), (None, FEEDBACK_ADDRESS)):
            async with signed_in(hub, device_id) as (client, session):
                await client.receiver(session, address)
        await hub.disconnect_all()
        assert hub._core is not None
        assert not hub._core.receivers._devices
        assert not hub._core.receivers._feedback


async def test_telemetry_is_accepted_and_dropped() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.sender(session, "/devices/dev-1/messages/events")
        link.send(encode_message(Message(b"21.5")), tag=b"0")
        await client.send()
        event = await client.next(amqp.DeliveryUpdated)
        assert (event.state, event.settled) == (amqp.Accepted(), True)


async def test_a_close_is_answered() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, _):
        client.engine.close()
        await client.send()
        assert (await client.next(amqp.Closed)).error is None
        await client.closed()


def certified(hub: LocalHub, folder: Path) -> ssl.SSLContext:
    """Register dev-x and dev-y, which sign in with certificates, and return a context with that of dev-x."""
    for device_id in ("dev-x", "dev-y"):
        hub.add_device(device_id, ca_signed=True)
    file = folder / "dev-x.pem"
    file.write_bytes(hub.issue_certificate("dev-x"))
    context = hub.ssl_context()
    context.load_cert_chain(file)
    return context


# Node, Java: no SASL. c2dkit: EXTERNAL. With the others the identity is in the handshake just the same.
@pytest.mark.parametrize("sasl", [None, amqp.external(), amqp.mssbcbs(), amqp.anonymous()])
async def test_a_certificate_opens_what_is_its_devices_and_no_more(
    sasl: amqp.SaslClient | None, tmp_path: Path
) -> None:
    async with LocalHub() as hub, connection(hub, sasl, certified(hub, tmp_path)) as client:
        session = await client.begin()
        for source in (device_address("dev-y"), device_address(DEVICE), FEEDBACK_ADDRESS):
            assert await refusal(client, session, source=source) == "amqp:unauthorized-access"
        assert await refusal(client, session, target=SERVICE_ADDRESS) == "amqp:unauthorized-access"
        await client.sender(session, "/devices/dev-x/messages/events")
        await client.receiver(session, device_address("dev-x"))
        queue(hub, b"m1", device_id="dev-x")
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"m1"


async def test_a_connection_with_a_certificate_is_not_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(door, "ANONYMOUS_SECONDS", 0.05)
    async with LocalHub() as hub, connection(hub, context=certified(hub, tmp_path)) as client:
        session = await client.begin()
        await client.receiver(session, device_address("dev-x"))
        async with connection(hub) as later:
            await later.begin()
            await later.next(amqp.Closed, skip=amqp.SessionEnded)
        await client.sender(session, "/devices/dev-x/messages/events")


async def test_a_certificate_that_proves_nothing_does_not_keep_a_connection_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(door, "ANONYMOUS_SECONDS", 0.05)
    async with LocalHub() as hub, connection(hub, amqp.external(), certified(hub, tmp_path)) as client:
        session = await client.begin()
        assert await refusal(client, session, source=device_address(DEVICE)) == "amqp:unauthorized-access"
        await client.next(amqp.Closed, skip=amqp.SessionEnded)


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "jwt", cbs.SAS_TOKEN_TYPE])  # .NET, Python, uamqp, Node
async def test_a_token_of_entra_id_is_known_by_its_text_whatever_its_type(token_type: str) -> None:
    issuer = TokenIssuer.create()
    async with LocalHub(issuers=[issuer]) as hub, connection(hub) as client:
        session = await client.begin()
        answer = await client.put_token(session, f"Bearer {issuer.token()}", token_type=token_type)
        assert answer.status_code == 200
        await client.sender(session, SERVICE_ADDRESS)
        assert await refusal(client, session, source=device_address(DEVICE)) == "amqp:unauthorized-access"


async def test_links_end_with_the_token_of_entra_id_and_a_fresh_one_keeps_them() -> None:
    issuer = TokenIssuer.create()
    async with LocalHub(issuers=[issuer]) as hub, connection(hub) as client:
        session = await client.begin()
        await client.put_token(session, f"Bearer {issuer.token()}")
        await client.sender(session, SERVICE_ADDRESS)
        await client.put_token(session, f"Bearer {issuer.token(timedelta(hours=2))}")
        hub.clock.advance(timedelta(hours=1, minutes=6))
        assert (await client.put_token(session, f"Bearer {issuer.token(timedelta(0))}")).status_code == 401
        hub.clock.advance(timedelta(hours=1))
        event = await client.next(amqp.LinkDetached)
        assert event.error is not None
        assert event.error.condition == "amqp:unauthorized-access"


async def test_a_connection_without_a_token_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANONYMOUS_SECONDS", 0.05)
    async with LocalHub() as hub, connection(hub) as client:
        await client.begin()
        event = await client.next(amqp.Closed, skip=amqp.SessionEnded)
        assert event.error is not None
        assert event.error.condition == "amqp:unauthorized-access"


async def test_a_connection_with_a_token_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANONYMOUS_SECONDS", 0.05)
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        async with connection(hub) as later:
            await later.begin()
            await later.next(amqp.Closed, skip=amqp.SessionEnded)
        await client.receiver(session, device_address(DEVICE))


async def test_a_connection_whose_tokens_have_all_expired_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ANONYMOUS_SECONDS", 0.05)
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, _):
        async with connection(hub) as later:  # opened later, so its time is up later
            await later.begin()
            await later.next(amqp.Closed, skip=amqp.SessionEnded)
        hub.clock.advance(timedelta(hours=1))
        await client.next(amqp.Closed, skip=(amqp.SessionEnded, amqp.LinkDetached))


async def test_a_request_is_answered_in_its_own_session() -> None:
    async with LocalHub() as hub, connection(hub) as client:
        first, second = await client.begin(), await client.begin()
        requests, answers = await client.sender(first, "$cbs"), await client.receiver(first, "$cbs")
        await client.receiver(second, "$cbs")
        requests.send(cbs.encode_put_token(cbs.PutToken("id", "", token_of(hub, DEVICE))), tag=b"0")
        await client.send()
        assert (await client.next(amqp.TransferReceived, skip=amqp.DeliveryUpdated)).link is answers


async def test_a_target_without_an_address_is_refused() -> None:
    async with LocalHub() as hub, signed_in(hub) as (client, session):
        session.attach_sender("anonymous", source=amqp.Source(), target=amqp.Target())
        await client.send()
        event = await client.next(amqp.LinkDetached, skip=amqp.LinkAttached)
        assert event.error is not None
        assert event.error.condition == "amqp:not-found"


async def test_a_policy_without_the_right_opens_nothing() -> None:
    async with LocalHub() as hub, connection(hub) as client:
        policy = hub._policies.policy("device")
        credential = ServiceCredential(
            host_name="localhost", shared_access_key_name="device", shared_access_key=policy.primary_key
        )
        session = await client.begin()
        assert (await client.put_token(session, credential.token(datetime.now(UTC)).text)).status_code == 200
        assert await refusal(client, session, target=SERVICE_ADDRESS) == "amqp:unauthorized-access"
        await client.receiver(session, device_address(DEVICE))  # which it has the right for


async def test_a_connection_takes_so_many_tokens_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MAX_GRANTS", 1)
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub, signed_in(hub, "dev-1") as (client, session):
        assert (await client.put_token(session, token_of(hub, "dev-2"))).status_code == 403
        assert (await client.put_token(session, token_of(hub, "dev-1"))).status_code == 200  # renewed


@pytest.mark.parametrize(
    ("payload", "condition"),
    [
        (b"\x00\x53\x75\xa0\x05no", "amqp:decode-error"),
        (encode_message(Message(b"a token?")), "com.microsoft:argument-error"),
    ],
)
async def test_what_is_no_put_token_is_rejected(payload: bytes, condition: str) -> None:
    async with LocalHub() as hub, connection(hub) as client:
        link = await client.sender(await client.begin(), "$cbs")
        link.send(payload, tag=b"0")
        await client.send()
        event = await client.next(amqp.DeliveryUpdated)
        assert isinstance(event.state, amqp.Rejected)
        assert event.state.error is not None
        assert event.state.error.condition == condition


async def test_answers_that_nobody_reads_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbs_node, "MAX_WAITING", 2)
    async with LocalHub() as hub, connection(hub) as client:
        session = await client.begin()
        requests = await client.sender(session, "$cbs")
        answers = await client.receiver(session, "$cbs", credit=0)
        for _ in range(3):
            requests.send(cbs.encode_put_token(cbs.PutToken("id", "", token_of(hub, DEVICE))), tag=b"0")
        await client.send()
        event = await client.next(amqp.LinkDetached, skip=amqp.DeliveryUpdated)
        assert event.link is answers
        assert event.error is not None
        assert event.error.condition == "amqp:resource-limit-exceeded"


async def test_an_answer_is_settled_for_a_client_that_leaves_it_to_the_hub() -> None:
    async with LocalHub() as hub, connection(hub) as client:
        session = await client.begin()
        requests, answers = await client.sender(session, "$cbs"), await client.receiver(session, "$cbs")
        requests.send(cbs.encode_put_token(cbs.PutToken("id", "", token_of(hub, DEVICE))), tag=b"0")
        await client.send()
        event = await client.next(amqp.TransferReceived, skip=amqp.DeliveryUpdated)
        assert event.link is answers
        assert await client.settle(event, amqp.Accepted()) == amqp.Accepted()


async def test_a_device_that_was_disabled_loses_its_link() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        hub._state.device(DEVICE).enabled = False
        assert hub._core is not None
        hub._core.receivers.ready(DEVICE)
        event = await client.next(amqp.LinkDetached)
        assert event.error is not None
        assert event.error.condition == "amqp:not-found"


async def test_a_delivery_settled_in_two_steps_at_once_is_settled_once() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1")
        event = await client.next(amqp.TransferReceived)
        link.settle(event.delivery_id, amqp.Rejected(), settled=False)
        link.settle(event.delivery_id, amqp.Accepted())
        await client.send()
        queue(hub, b"m2")
        await client.settle(await client.next(amqp.TransferReceived), amqp.Accepted())
        assert hub.queue_depth(DEVICE) == 0


async def test_a_message_larger_than_the_link_takes_is_dead_lettered() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = session.attach_receiver(
            "small", source=amqp.Source(address=device_address(DEVICE)), target=amqp.Target(), max_message_size=500
        )
        link.flow(10)
        await client.send()
        await client.next(amqp.LinkAttached)
        queue(hub, b"x" * 100)
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"x" * 100
        hub._state.send(Message(b"x" * 600, to=TO))
        queue(hub, b"next")
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"next"
        assert hub.queue_depth(DEVICE) == 2


async def test_an_mqtt_connection_makes_way_for_an_amqp_link_and_the_reverse() -> None:
    async with LocalHub() as hub:
        device, trust = device_credential(hub), hub.ssl_context()
        with anyio.fail_after(20):
            mqtt_link = await MqttDeviceTransport(device, ssl_context=trust).open(prefetch=1)
            amqp_link = await AmqpDeviceTransport(device, ssl_context=trust).open(prefetch=1)
            with pytest.raises(ConnectionLostError):
                await mqtt_link.receive()
            again = await MqttDeviceTransport(device, ssl_context=trust).open(prefetch=1)
            with pytest.raises(ConnectionLostError) as lost:
                await amqp_link.receive()
            assert lost.value.hub_code == 409002
            queue(hub, b"m1")
            assert (await again.receive()).message.body == b"m1"
            for link in (mqtt_link, amqp_link, again):
                await link.close()


async def test_the_end_of_a_link_gives_back_what_it_held() -> None:
    async with LocalHub() as hub, signed_in(hub, DEVICE) as (client, session):
        link = await client.receiver(session, device_address(DEVICE))
        queue(hub, b"m1")
        await client.next(amqp.TransferReceived)
        link.detach()
        await client.send()
        await client.next(amqp.LinkDetached)
        await client.receiver(session, device_address(DEVICE))
        assert decode_message((await client.next(amqp.TransferReceived)).payload).body == b"m1"


async def test_the_grace_lets_a_link_outlive_its_token() -> None:
    grace = HubOptions(token_grace=timedelta(minutes=5))
    async with LocalHub(options=grace) as hub, signed_in(hub, DEVICE) as (client, session):
        await client.receiver(session, device_address(DEVICE))
        hub.clock.advance(timedelta(minutes=64))
        queue(hub, b"m1")
        await client.next(amqp.TransferReceived)
        hub.clock.advance(timedelta(minutes=1))
        await client.next(amqp.LinkDetached, skip=amqp.TransferReceived)


async def test_a_token_without_an_end_to_speak_of_may_be_outlived() -> None:
    grace = HubOptions(token_grace=timedelta(minutes=5))
    async with LocalHub(options=grace) as hub, connection(hub) as client:
        device = hub._state.device(DEVICE)
        last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        token = sas.sign(f"localhost/devices/{DEVICE}", device.primary_key, last).text
        session = await client.begin()
        assert (await client.put_token(session, token)).status_code == 200
        hub.clock.advance(timedelta(hours=1))
        await client.receiver(session, device_address(DEVICE))
