"""Proves the back end's half of ``_requirements/refusals.py``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit import (
    C2dError,
    CloudSender,
    ConnectError,
    ConnectionStringError,
    FeedbackStream,
    LinkError,
    OutcomeUnknownError,
    UnauthorizedError,
)
from c2dkit._rules import sas
from c2dkit.testing.contract._bench import ONCE
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
from c2dkit.transports import ServiceOperation

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import BackEnd
    from c2dkit.testing.contract._peer import Peer
    from c2dkit.transports import ServiceTransport

__all__ = ["TestServiceRefusals"]

OTHER_KEY = "b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkgb3RoZXI="


async def refusals(transport: ServiceTransport) -> list[C2dError]:
    """Do what the transport can, and return what went wrong each time."""
    errors: list[C2dError] = []
    if ServiceOperation.SEND in transport.operations:
        with pytest.raises(C2dError) as caught:
            async with CloudSender(transport, retry=ONCE) as sender:
                await sender.send("dev-1", "x")
        errors.append(caught.value)
    if ServiceOperation.FEEDBACK in transport.operations:
        with pytest.raises(C2dError) as caught:
            async with FeedbackStream(transport, retry=ONCE) as stream:
                await anext(stream)
        errors.append(caught.value)
    return errors


def at(back_end: BackEnd, peer: Peer) -> ServiceTransport:
    """Return a transport that goes to a peer and trusts it."""
    return back_end.transport(replace(back_end.credential(), host_name=peer.host, port=peer.port), trust=peer.trust)


@pytest.mark.anyio
class TestServiceRefusals:
    @requirement("service-refused:wrong-key")
    async def test_wrong_key(self, back_end: BackEnd) -> None:
        for error in await refusals(back_end.transport(replace(back_end.credential(), shared_access_key=OTHER_KEY))):
            assert isinstance(error, UnauthorizedError)
            assert not error.transient
            assert OTHER_KEY not in f"{error} {error.__cause__!r}"

    @requirement("service-refused:device-key")
    async def test_device_key(self, back_end: BackEnd) -> None:
        key = back_end.hub.device_credential("dev-1").shared_access_key
        for error in await refusals(back_end.transport(replace(back_end.credential(), shared_access_key=key))):
            assert isinstance(error, UnauthorizedError)
            assert str(key) not in f"{error} {error.__cause__!r}"
        assert not back_end.waiting()

    @requirement("service-refused:expired-token")
    async def test_expired_token(self, back_end: BackEnd) -> None:
        back_end.hub.advance(timedelta(hours=2))
        for error in await refusals(back_end.transport()):
            assert isinstance(error, UnauthorizedError)

    @requirement("service-refused:expired-signature")
    async def test_expired_signature(self, back_end: BackEnd) -> None:
        credential = back_end.credential()
        past = back_end.hub.now() - timedelta(seconds=1)
        token = sas.sign(credential.resource, OTHER_KEY, past, credential.shared_access_key_name)
        expired = replace(credential, shared_access_key=None, shared_access_signature=token.text)
        for error in await refusals(back_end.transport(expired)):
            assert isinstance(error, ConnectionStringError)

    @requirement("service-refused:wrong-name")
    async def test_wrong_name(self, back_end: BackEnd) -> None:
        async with opened_peer(back_end.leg, hang_up, certified_name="other.example") as peer:
            for error in await refusals(at(back_end, peer)):
                assert isinstance(error, ConnectError)
                assert not error.transient
            assert peer.visits == 0

    @requirement("service-refused:untrusted")
    async def test_untrusted(self, back_end: BackEnd) -> None:
        async with opened_peer(back_end.leg, hang_up) as peer:
            credential = replace(back_end.credential(), host_name=peer.host, port=peer.port)
            for error in await refusals(back_end.transport(credential, trust=back_end.hub.trust)):
                assert isinstance(error, ConnectError)
                assert not error.transient
            assert peer.visits == 0

    @requirement("service-refused:nobody")
    async def test_nobody(self, back_end: BackEnd) -> None:
        host, port = nowhere(back_end.leg)
        transport = back_end.transport(replace(back_end.credential(), host_name=host, port=port or None))
        for error in await refusals(transport):
            assert isinstance(error, ConnectError)
            assert error.transient

    @requirement("service-refused:nonsense")
    @pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense(self, back_end: BackEnd, answer: bytes) -> None:
        async with opened_peer(back_end.leg, say(answer)) as peer:
            for error in await refusals(at(back_end, peer)):
                assert isinstance(error, (LinkError, OutcomeUnknownError))

    @requirement("service-refused:nonsense-after-greeting")
    @pytest.mark.parametrize("answer", GREETINGS.values(), ids=GREETINGS)
    async def test_nonsense_after_greeting(self, back_end: BackEnd, answer: bytes) -> None:
        async with opened_peer(back_end.leg, say(answer)) as peer:
            for error in await refusals(at(back_end, peer)):
                assert isinstance(error, (LinkError, OutcomeUnknownError))

    @requirement("service-refused:nonsense-and-end")
    @pytest.mark.parametrize("answer", (NONSENSE | GREETINGS).values(), ids=NONSENSE | GREETINGS)
    async def test_nonsense_and_end(self, back_end: BackEnd, answer: bytes) -> None:
        async with opened_peer(back_end.leg, say_and_hang_up(answer)) as peer:
            for error in await refusals(at(back_end, peer)):
                assert isinstance(error, (LinkError, OutcomeUnknownError))

    @requirement("service-refused:hang-up")
    async def test_hang_up(self, back_end: BackEnd) -> None:
        async with opened_peer(back_end.leg, hang_up) as peer:
            for error in await refusals(at(back_end, peer)):
                assert isinstance(error, (LinkError, OutcomeUnknownError))
                assert error.transient

    @requirement("service-refused:nonsense-later")
    @pytest.mark.parametrize("word", NONSENSE.values(), ids=NONSENSE)
    async def test_nonsense_later(self, back_end: BackEnd, word: bytes) -> None:
        relay = Relay(back_end.hub)
        async with opened_peer(back_end.leg, relay) as peer, CloudSender(at(back_end, peer), retry=ONCE) as sender:
            await sender.send("dev-1", "x")
            await relay.put_in(word)
            for _ in range(2):
                with pytest.raises((LinkError, OutcomeUnknownError)):
                    await sender.send("dev-1", "x")
