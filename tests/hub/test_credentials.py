"""Keys and ready-made signatures over every transport of c2dkit; certificates and Entra ID have files of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    Ack,
    ConnectionStringError,
    DeviceCredential,
    DeviceReceiver,
    FeedbackStream,
    ServiceCredential,
    UnauthorizedError,
)
from c2dkit._models import Message
from c2dkit._rules import sas
from c2dkit.testing.contract._bench import ONCE

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub

DEVICE_TRANSPORTS = ["amqp", "amqp-ws", "mqtt", "mqtt-ws", "https"]
SERVICE_TRANSPORTS = ["amqp", "amqp-ws", "https"]
OTHER_KEY = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
KINDS = ["key", "signature"]


def device_string(hub: LocalHub, kind: str, lifetime: timedelta = timedelta(hours=1), key: str | None = None) -> str:
    whole = hub.device_connection_string("dev-1")
    credential = DeviceCredential.from_connection_string(whole)
    key = key or credential.shared_access_key
    assert key is not None
    start = whole.partition("SharedAccessKey=")[0]
    if kind == "key":
        return f"{start}SharedAccessKey={key}"
    return f"{start}SharedAccessSignature={sas.sign(credential.resource, key, datetime.now(UTC) + lifetime).text}"


def service_string(hub: LocalHub, kind: str, lifetime: timedelta = timedelta(hours=1), key: str | None = None) -> str:
    whole = hub.service_connection_string
    credential = ServiceCredential.from_connection_string(whole)
    key = key or credential.shared_access_key
    assert key is not None
    start = whole.partition("SharedAccessKey")[0]
    if kind == "key":
        return f"{start}SharedAccessKeyName=service;SharedAccessKey={key}"
    token = sas.sign(credential.resource, key, datetime.now(UTC) + lifetime, "service")
    return f"{start}SharedAccessSignature={token.text}"


async def receive(hub: LocalHub, connection_string: str, transport: str) -> None:
    hub._state.send(Message(b"hello", to="/devices/dev-1/messages/devicebound"))
    with anyio.fail_after(20):
        async with DeviceReceiver.from_connection_string(
            connection_string,
            transport=transport,
            payload_type=bytes,
            ssl_context=hub.ssl_context(),
            retry=ONCE,
        ) as receiver:
            message = await anext(aiter(receiver))
            assert message.payload == b"hello"
            await message.complete()


async def receive_feedback(hub: LocalHub, connection_string: str, transport: str) -> None:
    hub._state.send(Message(b"", to="/devices/dev-1/messages/devicebound", message_id="m", ack=Ack.FULL))
    hub._state.purge("dev-1")
    with anyio.fail_after(20):
        async with FeedbackStream.from_connection_string(
            connection_string,
            transport=transport,
            ssl_context=hub.ssl_context(),
            retry=ONCE,
        ) as stream:
            assert (await anext(aiter(stream))).original_message_id == "m"


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_device_signs_in(hub: LocalHub, transport: str, kind: str) -> None:
    await receive(hub, device_string(hub, kind), transport)


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_back_end_signs_in(hub: LocalHub, transport: str, kind: str) -> None:
    await receive_feedback(hub, service_string(hub, kind), transport)


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_key_of_a_device_is_refused_and_not_shown(
    hub: LocalHub, transport: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "c2dkit")
    connection_string = device_string(hub, kind, key=OTHER_KEY)
    with pytest.raises(UnauthorizedError) as caught:
        await receive(hub, connection_string, transport)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "neither the primary nor the secondary key" in shown
    assert OTHER_KEY not in shown
    assert "sig=" not in shown


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_key_of_a_back_end_is_refused_and_not_shown(
    hub: LocalHub, transport: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "c2dkit")
    with pytest.raises(UnauthorizedError) as caught:
        await receive_feedback(hub, service_string(hub, kind, key=OTHER_KEY), transport)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert "neither the primary nor the secondary key" in shown
    assert OTHER_KEY not in shown
    assert "sig=" not in shown


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_ready_made_signature_of_a_device_that_has_expired_is_not_sent(hub: LocalHub, transport: str) -> None:
    with pytest.raises(ConnectionStringError, match="SharedAccessSignature expired"):
        await receive(hub, device_string(hub, "signature", timedelta(0)), transport)
    assert hub.connection_count == 0


@pytest.mark.parametrize("transport", SERVICE_TRANSPORTS)
async def test_a_ready_made_signature_of_a_back_end_that_has_expired_is_not_sent(hub: LocalHub, transport: str) -> None:
    with pytest.raises(ConnectionStringError, match="SharedAccessSignature expired"):
        await receive_feedback(hub, service_string(hub, "signature", timedelta(0)), transport)
    assert hub.connection_count == 0


@pytest.mark.parametrize("transport", DEVICE_TRANSPORTS)
async def test_a_token_that_the_hubs_clock_has_overtaken_is_refused(hub: LocalHub, transport: str) -> None:
    connection_string = device_string(hub, "signature")
    hub.clock.advance(timedelta(hours=1, seconds=1))
    with pytest.raises(UnauthorizedError):
        await receive(hub, connection_string, transport)
