"""Proves the device's half of ``_requirements/refusals.py``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit import (
    C2dError,
    ConnectError,
    ConnectionStringError,
    DeviceNotFoundError,
    DeviceReceiver,
    LinkError,
    UnauthorizedError,
)
from c2dkit._rules import sas
from c2dkit.testing.contract._bench import ONCE, until
from c2dkit.testing.contract._mark import requirement
from c2dkit.testing.contract._peer import (
    GREETINGS,
    NONSENSE,
    Relay,
    hang_up,
    nowhere,
    opened_peer,
    say,
    say_and_hang_up,
)

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import Device
    from c2dkit.testing.contract._peer import Peer
    from c2dkit.transports import DeviceTransport

__all__ = ["TestDeviceRefusals"]

OTHER_KEY = "b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkgb3RoZXI="


async def refusal(transport: DeviceTransport) -> C2dError:
    """Open and receive, and return what went wrong."""
    with pytest.raises(C2dError) as caught:
        async with DeviceReceiver(transport, retry=ONCE) as messages:
            await anext(messages)
    return caught.value


def at(device: Device, peer: Peer) -> DeviceTransport:
    """Return the transport of dev-1 that goes to a peer and trusts it."""
    return device.transport(replace(device.credential(), host_name=peer.host, port=peer.port), trust=peer.trust)


@pytest.mark.anyio
class TestDeviceRefusals:
    @requirement("device-refused:wrong-key")
    async def test_wrong_key(self, device: Device) -> None:
        error = await refusal(device.transport(replace(device.credential(), shared_access_key=OTHER_KEY)))
        assert isinstance(error, UnauthorizedError)
        assert not error.transient
        assert OTHER_KEY not in f"{error} {error.__cause__!r}"

    @requirement("device-refused:unknown")
    async def test_unknown(self, device: Device) -> None:
        error = await refusal(device.transport(replace(device.credential(), device_id="nobody")))
        assert isinstance(error, (UnauthorizedError, DeviceNotFoundError))
        assert not error.transient

    @requirement("device-refused:disabled")
    async def test_disabled(self, device: Device) -> None:
        device.hub.disable_device("dev-1")
        error = await refusal(device.transport())
        assert isinstance(error, (UnauthorizedError, DeviceNotFoundError))

    @requirement("device-refused:disabled-later")
    async def test_disabled_later(self, device: Device) -> None:
        sent = device.send()
        async with device.receiver() as messages:
            assert (await anext(messages)).message_id == sent
            device.hub.disable_device("dev-1")
            with pytest.raises(C2dError):
                await anext(messages)

    @requirement("device-refused:expired-token")
    async def test_expired_token(self, device: Device) -> None:
        device.hub.advance(timedelta(hours=2))
        assert isinstance(await refusal(device.transport()), UnauthorizedError)

    @requirement("device-refused:expired-signature")
    async def test_expired_signature(self, device: Device) -> None:
        credential = device.credential()
        token = sas.sign(credential.resource, OTHER_KEY, device.hub.now() - timedelta(seconds=1))
        expired = replace(credential, shared_access_key=None, shared_access_signature=token.text)
        assert isinstance(await refusal(device.transport(expired)), ConnectionStringError)

    @requirement("device-refused:wrong-name")
    async def test_wrong_name(self, device: Device) -> None:
        async with opened_peer(device.leg, hang_up, certified_name="other.example") as peer:
            error = await refusal(at(device, peer))
            assert isinstance(error, ConnectError)
            assert not error.transient
            assert peer.visits == 0

    @requirement("device-refused:untrusted")
    async def test_untrusted(self, device: Device) -> None:
        async with opened_peer(device.leg, hang_up) as peer:
            credential = replace(device.credential(), host_name=peer.host, port=peer.port)
            error = await refusal(device.transport(credential, trust=device.hub.trust))
            assert isinstance(error, ConnectError)
            assert not error.transient
            assert peer.visits == 0

    @requirement("device-refused:nobody")
    async def test_nobody(self, device: Device) -> None:
        host, port = nowhere(device.leg)
        error = await refusal(device.transport(replace(device.credential(), host_name=host, port=port or None)))
        assert isinstance(error, ConnectError)
        assert error.transient

    @requirement("device-refused:nonsense")
    @pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense(self, device: Device, answer: bytes) -> None:
        async with opened_peer(device.leg, say(answer)) as peer:
            assert isinstance(await refusal(at(device, peer)), LinkError)

    @requirement("device-refused:nonsense-after-greeting")
    @pytest.mark.parametrize("answer", GREETINGS.values(), ids=GREETINGS)
    async def test_nonsense_after_greeting(self, device: Device, answer: bytes) -> None:
        async with opened_peer(device.leg, say(answer)) as peer:
            assert isinstance(await refusal(at(device, peer)), LinkError)

    @requirement("device-refused:nonsense-and-end")
    @pytest.mark.parametrize("answer", (NONSENSE | GREETINGS).values(), ids=NONSENSE | GREETINGS)
    async def test_nonsense_and_end(self, device: Device, answer: bytes) -> None:
        async with opened_peer(device.leg, say_and_hang_up(answer)) as peer:
            assert isinstance(await refusal(at(device, peer)), LinkError)

    @requirement("device-refused:hang-up")
    async def test_hang_up(self, device: Device) -> None:
        async with opened_peer(device.leg, hang_up) as peer:
            error = await refusal(at(device, peer))
            assert isinstance(error, LinkError)
            assert error.transient

    @requirement("device-refused:nonsense-later")
    @pytest.mark.parametrize("word", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense_later(self, device: Device, word: bytes) -> None:
        relay = Relay(device.hub)
        async with opened_peer(device.leg, relay) as peer:
            async with DeviceReceiver(at(device, peer), retry=ONCE) as messages:
                sent = device.send()
                assert (await anext(messages)).message_id == sent
                await relay.put_in(word)
                with pytest.raises(LinkError):
                    await anext(messages)
            await until(lambda: device.hub.connection_count == 0)
