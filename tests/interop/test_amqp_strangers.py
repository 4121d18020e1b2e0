"""Both roles of the AMQP engine against peers that share no code with it: Qpid Proton, rhea, and uamqp as a client.

python-qpid-proton and uamqp have to be importable, and C2DKIT_NODE_MODULES has to name a folder whose node_modules
holds rhea 3 and azure-iothub, which brings the rhea 1 of the Azure SDKs.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import amqp

from .amqp.ends import (
    MAX_FRAME_SIZE,
    OLD_RHEA,
    STRANGERS,
    Role,
    Stranger,
    connected,
    joined,
    let_in,
    make_engine,
    open_both,
    run_stranger,
    settings,
)
from .amqp.pair import Pair, spelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROLES: tuple[Role, ...] = ("client", "server")
PAIRS = [(name, role) for name in STRANGERS for role in ROLES]
UAMQP: tuple[str, Role] = ("uamqp", "server")
TRANSFER = b"\x00\x53\x14"
ERROR = amqp.AmqpError("amqp:not-allowed", "so be it")
OUTCOMES: tuple[amqp.Outcome, ...] = (
    amqp.Accepted(),
    amqp.Rejected(amqp.AmqpError("amqp:precondition-failed", "not like that")),
    amqp.Released(),
    amqp.Modified(delivery_failed=True, undeliverable_here=True, message_annotations={"colour": "red"}),
)


def outcomes_of(stranger: Stranger) -> tuple[amqp.Outcome, ...]:
    # rhea 1 writes the names of annotations as strings where symbols are due.
    if stranger.name == OLD_RHEA:
        return (*OUTCOMES[:3], amqp.Modified(delivery_failed=True, undeliverable_here=True))
    return OUTCOMES


def large_body_of(stranger: Stranger) -> str:
    # rhea 1 does not begin a message that the window has no room for as a whole.
    frames = 12 if stranger.name == OLD_RHEA else 75
    return "large" * (frames * MAX_FRAME_SIZE // 5)


@pytest.fixture(params=STRANGERS)
async def stranger(request: pytest.FixtureRequest) -> AsyncIterator[Stranger]:
    async with run_stranger(request.param) as stranger:
        yield stranger


@pytest.fixture(params=PAIRS, ids="-".join)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """A stranger that does everything, and the role of c2dkit."""
    async with joined_pair(*request.param) as pair:
        yield pair


@pytest.fixture(params=[*PAIRS, UAMQP], ids="-".join)
async def any_pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """The same, and uamqp."""
    async with joined_pair(*request.param) as pair:
        yield pair


@pytest.fixture
async def uamqp_pair() -> AsyncIterator[Pair]:
    async with joined_pair(*UAMQP) as pair:
        yield pair


@asynccontextmanager
async def joined_pair(name: str, role: Role, *, silence: float = 60.0) -> AsyncIterator[Pair]:
    async with run_stranger(name) as stranger, joined(stranger, role, silence=silence) as end:
        pair = Pair(end, stranger, role)
        if name == "uamqp":  # which begins a session with the connection
            pair.sessions["one"] = (await end.next(amqp.SessionBegun)).session
        yield pair


# Connections


# Without Cyrus SASL, Proton's server knows no PLAIN.
SASL_CASES = [
    *((*pair, mechanism) for pair in PAIRS for mechanism in (None, "ANONYMOUS")),
    *((*pair, "PLAIN") for pair in PAIRS if pair != ("proton", "client")),
    (*UAMQP, "ANONYMOUS"),
    (*UAMQP, "PLAIN"),
]


@pytest.mark.parametrize(("name", "role", "mechanism"), SASL_CASES)
async def test_sasl(name: str, role: Role, mechanism: str | None) -> None:
    plain = amqp.plain("user", "word")
    sasl = {None: None, "ANONYMOUS": amqp.anonymous(), "PLAIN": plain}[mechanism]
    engine = make_engine(role, sasl if role == "client" else amqp.SaslServer(["PLAIN", "ANONYMOUS"]))
    username, password = ("user", "word") if mechanism == "PLAIN" else (None, None)
    options = settings(mechanism, username=username, password=password)
    async with run_stranger(name) as stranger, connected(stranger, role, engine, options) as end:
        if role == "server" and mechanism is not None:
            await let_in(end, mechanism)
        await open_both(end, stranger, role)


async def test_proton_does_not_offer_what_is_wanted() -> None:
    engine = make_engine("client", amqp.plain("user", "word"))
    async with run_stranger("proton") as stranger, connected(stranger, "client", engine, settings("PLAIN")) as end:
        assert "not among those offered: ANONYMOUS" in str(await end.causes.next())


@pytest.mark.parametrize("name", ["rhea", "rhea-of-azure-iothub"])
async def test_a_wrong_password_of_c2dkit(name: str) -> None:
    engine = make_engine("client", amqp.plain("user", "wrong"))
    options = settings("PLAIN", username="user", password="word")
    async with run_stranger(name) as stranger, connected(stranger, "client", engine, options) as end:
        await end.expect(amqp.SaslFailed(engine, amqp.SASL_AUTH))
        assert engine.closed


async def test_a_wrong_password_of_the_stranger(stranger: Stranger) -> None:
    engine = make_engine("server", amqp.SaslServer(["PLAIN"]))
    options = settings("PLAIN", username="user", password="wrong")
    async with connected(stranger, "server", engine, options) as end:
        event = await end.next(amqp.SaslInitReceived)
        assert (event.mechanism, event.initial_response) == ("PLAIN", b"\0user\0wrong")
        assert engine.sasl_outcome(amqp.SASL_AUTH) == []
        end.driver.finish()
        await stranger.expect("failed", "amqp:unauthorized-access")


@pytest.mark.parametrize(("name", "role"), [*PAIRS, UAMQP])
async def test_heartbeats_keep_a_connection(name: str, role: Role) -> None:
    async with joined_pair(name, role, silence=0.8) as pair:
        for _ in range(3):
            await pair.end.tap.heartbeats_heard.next()
            await pair.end.tap.heartbeats_said.next()
        assert pair.end.events.is_empty()
        await pair.stranger.tell("close", error=ERROR[:2])
        await pair.end.expect(amqp.Closed(pair.end.connection, ERROR))


async def test_a_stranger_that_stops_is_found_out(stranger: Stranger) -> None:
    async with joined(stranger, "client", silence=0.8) as end:
        stranger.stop()
        assert "nothing was heard for 0.8 s" in str(await end.causes.next())


async def test_c2dkit_closes(any_pair: Pair) -> None:
    any_pair.end.connection.close(ERROR)
    any_pair.end.wake()
    await any_pair.stranger.expect("closed", list(ERROR[:2]))
    await any_pair.end.expect(amqp.Closed(any_pair.end.connection, None))


async def test_the_stranger_closes(pair: Pair) -> None:
    await pair.stranger.tell("close", error=ERROR[:2])
    await pair.end.expect(amqp.Closed(pair.end.connection, ERROR))
    await pair.stranger.expect("closed", None)


async def test_c2dkit_drops_the_connection(pair: Pair) -> None:
    await pair.end.driver.aclose()
    await pair.stranger.expect("disconnected")


async def test_the_stranger_drops_the_connection(pair: Pair) -> None:
    link = await pair.sender()
    await pair.stranger.tell("drop")
    assert await pair.end.causes.next() is None
    assert link.attached  # nobody has said anything to the engine


# Sessions and links


async def test_sessions_and_links_are_kept_apart(pair: Pair) -> None:
    names = ("one", "two")
    senders = [await pair.sender(f"out {name}", session=name) for name in names]
    receivers = [await pair.receiver(f"in {name}", session=name) for name in names]
    more = await pair.sender("out three", session="one")
    assert senders[0].session is more.session is receivers[0].session
    assert senders[1].session is receivers[1].session is not more.session
    for sender in (*senders, more):
        await pair.give(sender, 1)
        await pair.send(sender, f"on {sender.name}", settled=True)
    for receiver in receivers:
        await pair.take(receiver, 1)
        await pair.receive(receiver, f"on {receiver.name}", settled=True)


async def test_c2dkit_detaches(pair: Pair) -> None:
    closed, kept = await pair.sender(), await pair.receiver()
    closed.detach(ERROR)
    pair.end.wake()
    await pair.stranger.expect("detached", closed.name, list(ERROR[:2]), True)
    await pair.end.expect(amqp.LinkDetached(closed, None, closed=True))
    kept.detach(closed=False)
    pair.end.wake()
    await pair.stranger.expect("detached", kept.name, None, False)
    assert (await pair.end.next(amqp.LinkDetached))[:2] == (kept, None)  # rhea closes what was only detached


async def test_the_stranger_detaches(pair: Pair) -> None:
    closed, kept = await pair.receiver(), await pair.sender()
    await pair.stranger.tell("detach", link=closed.name, error=ERROR[:2])
    await pair.end.expect(amqp.LinkDetached(closed, ERROR, closed=True))
    await pair.stranger.expect("detached", closed.name, None, True)
    await pair.stranger.tell("detach", link=kept.name, closed=False)
    await pair.end.expect(amqp.LinkDetached(kept, None, closed=False))
    await pair.stranger.expect("detached", kept.name, None, False)
    assert not kept.attached


async def test_c2dkit_ends_a_session(pair: Pair) -> None:
    await pair.sender()
    pair.sessions["one"].end(ERROR)
    pair.end.wake()
    await pair.stranger.expect("ended", list(ERROR[:2]))
    await pair.end.expect(amqp.SessionEnded(pair.sessions["one"], None))


async def test_the_stranger_ends_a_session(pair: Pair) -> None:
    link = await pair.sender()
    await pair.stranger.tell("end", link=link.name, error=ERROR[:2])
    await pair.end.expect(amqp.LinkDetached(link, ERROR, closed=False))
    await pair.end.expect(amqp.SessionEnded(link.session, ERROR))
    await pair.stranger.expect("ended", None)


async def test_c2dkit_refuses_a_link(stranger: Stranger) -> None:
    async with joined(stranger, "server") as end:
        for name, role in (("in", "sender"), ("out", "receiver")):
            await stranger.tell("attach", link=name, role=role, session=name, settle="first")
            await end.next(amqp.SessionBegun)
            (await end.next(amqp.LinkRequested)).link.refuse(ERROR)
            end.wake()
            attached, detached = await stranger.next(), await stranger.next()
            # The end that there will not be is left out (AMQP 1.0 part 2, 2.6.3).
            assert attached == ["attached", name, None, None]
            assert detached == ["detached", name, list(ERROR[:2]), True]
        await stranger.tell("close")
        await end.expect(amqp.Closed(end.connection, None))


async def test_the_stranger_refuses_a_link(stranger: Stranger) -> None:
    async with joined(stranger, "client") as end:
        await stranger.tell("refuse", error=ERROR[:2])
        await stranger.expect("refusing")
        session = end.connection.begin()
        source, target = amqp.Source("from"), amqp.Target("to")
        links: list[amqp.SenderLink | amqp.ReceiverLink] = [
            session.attach_sender("out", source=source, target=target),
            session.attach_receiver("in", source=source, target=target),
        ]
        end.wake()
        await end.expect(amqp.SessionBegun(session))
        for link in links:
            await end.expect(amqp.LinkDetached(link, ERROR, closed=True))


# Messages


async def test_c2dkit_sends_and_learns_the_outcomes(any_pair: Pair) -> None:
    link = await any_pair.sender()
    await any_pair.give(link, len(OUTCOMES))
    for outcome in outcomes_of(any_pair.stranger):
        tag = type(outcome).__name__
        delivery_id = await any_pair.send(link, tag)
        await any_pair.stranger.tell("settle", link=link.name, tag=tag, outcome=spelled(outcome))
        await any_pair.end.expect(amqp.DeliveryUpdated(link, delivery_id, outcome, settled=True))


async def test_the_stranger_sends_and_learns_the_outcomes(any_pair: Pair) -> None:
    link = await any_pair.receiver()
    await any_pair.take(link, len(OUTCOMES))
    for outcome in OUTCOMES:
        tag = type(outcome).__name__
        message = await any_pair.receive(link, tag)
        link.settle(message.delivery_id, outcome)
        any_pair.end.wake()
        await any_pair.stranger.expect("outcome", link.name, tag, spelled(outcome))
        await any_pair.stranger.expect("settled", link.name, tag)


async def test_outcomes_in_one_disposition(any_pair: Pair) -> None:
    link = await any_pair.receiver()
    await any_pair.take(link, 3)
    messages = [await any_pair.receive(link, tag) for tag in ("1", "2", "3")]
    for message in (messages[2], messages[0], messages[1]):
        link.settle(message.delivery_id, amqp.Accepted())
    before = len(any_pair.end.tap.said)
    any_pair.end.wake()
    told = [await any_pair.stranger.next() for _ in range(6)]
    assert sorted(str(what) for what in told if what[0] == "outcome") == [
        f"['outcome', 'in', '{tag}', ['accepted']]" for tag in ("1", "2", "3")
    ]
    assert any_pair.end.tap.said[before:].count(b"\x00\x53\x15") == 2  # 3, then 1 to 2


async def test_messages_that_are_settled_already(pair: Pair) -> None:
    sender, receiver = await pair.sender(), await pair.receiver()
    await pair.give(sender, 2)
    await pair.take(receiver, 2)
    for tag in ("1", "2"):
        await pair.send(sender, tag, settled=True)
        await pair.receive(receiver, tag, settled=True)


async def test_messages_of_many_frames(any_pair: Pair) -> None:
    sender, receiver = await any_pair.sender(), await any_pair.receiver()
    await any_pair.give(sender, 2)
    await any_pair.take(receiver, 2)
    body = large_body_of(any_pair.stranger)
    for tag in ("1", "2"):
        delivery_id = await any_pair.send(sender, tag, body)
        await any_pair.stranger.tell("settle", link=sender.name, tag=tag, outcome=["accepted"])
        await any_pair.end.expect(amqp.DeliveryUpdated(sender, delivery_id, amqp.Accepted(), settled=True))
        message = await any_pair.receive(receiver, tag, body)
        receiver.settle(message.delivery_id, amqp.Accepted())
        any_pair.end.wake()
        await any_pair.stranger.expect("outcome", receiver.name, tag, ["accepted"])
        await any_pair.stranger.expect("settled", receiver.name, tag)
    frames = 2 * len(body) // MAX_FRAME_SIZE
    assert any_pair.end.tap.said.count(TRANSFER) > frames
    assert any_pair.end.tap.heard.count(TRANSFER) > frames


async def test_c2dkit_settles_second(pair: Pair) -> None:
    link = await pair.receiver(second=True)
    await pair.take(link, 1)
    message = await pair.receive(link, "tag")
    link.settle(message.delivery_id, amqp.Accepted(), settled=False)
    pair.end.wake()
    await pair.stranger.expect("outcome", link.name, "tag", ["accepted"])
    await pair.stranger.tell("settle", link=link.name, tag="tag")
    updated = await pair.end.next(amqp.DeliveryUpdated)
    assert (updated.link, updated.delivery_id, updated.settled) == (link, message.delivery_id, True)


async def test_the_stranger_settles_second(pair: Pair) -> None:
    link = await pair.sender(second=True)
    await pair.give(link, 1)
    delivery_id = await pair.send(link, "tag")
    rejected = OUTCOMES[1]
    await pair.stranger.tell("settle", link=link.name, tag="tag", outcome=spelled(rejected), settled=False)
    await pair.end.expect(amqp.DeliveryUpdated(link, delivery_id, rejected, settled=False))
    link.settle(delivery_id, rejected)
    pair.end.wake()
    await pair.stranger.expect("settled", link.name, "tag")


# Credit


async def test_credit_runs_out(pair: Pair) -> None:
    sender, receiver = await pair.sender(), await pair.receiver()
    await pair.give(sender, 1)
    await pair.send(sender, "1", settled=True)
    assert sender.credit == 0
    with pytest.raises(ValueError, match="no credit"):
        sender.send(b"", tag=b"2")
    await pair.give(sender, 1)
    await pair.send(sender, "2", settled=True)

    await pair.take(receiver, 1)
    await pair.receive(receiver, "1", settled=True)
    await pair.stranger.tell("send", link=receiver.name, tag="2", body="late", settled=True)  # waits for credit
    receiver.flow(1)
    pair.end.wake()
    assert (await pair.end.next(amqp.TransferReceived)).tag == b"2"
    assert receiver.credit == 0


async def test_the_stranger_drains(pair: Pair) -> None:
    link = await pair.sender()
    await pair.give(link, 5)
    await pair.stranger.tell("drain", link=link.name)
    await pair.end.expect(amqp.LinkFlowed(link))
    assert (link.credit, link.drain_requested) == (5, True)
    await pair.send(link, "last", settled=True)
    link.drained()
    pair.end.wake()
    await pair.stranger.expect("drained", link.name)
    assert link.credit == 0


async def test_c2dkit_drains(pair: Pair) -> None:
    link = await pair.receiver()
    await pair.take(link, 5)
    link.flow(5, drain=True)
    pair.end.wake()
    await pair.stranger.expect("credit", link.name, 5, True)
    await pair.receive(link, "last")  # not settled: behind a settled message Proton 0.40 tells nobody that it drained
    await pair.stranger.tell("drained", link=link.name)
    await pair.end.expect(amqp.LinkFlowed(link))
    assert link.credit == 0
    await pair.take(link, 1)  # both ends count on from the same number
    await pair.receive(link, "more")


# What uamqp does in a way of its own


async def test_uamqp_with_a_wrong_password() -> None:
    engine = make_engine("server", amqp.SaslServer(["PLAIN"]))
    options = settings("PLAIN", username="user", password="wrong")
    async with run_stranger("uamqp") as stranger, connected(stranger, "server", engine, options) as end:
        assert (await end.next(amqp.SaslInitReceived)).initial_response == b"\0user\0wrong"
        engine.sasl_outcome(amqp.SASL_AUTH)
        end.driver.finish()
        assert (await stranger.next())[0] == "closed"


async def test_uamqp_loses_its_connection(uamqp_pair: Pair) -> None:
    await uamqp_pair.end.driver.aclose()
    assert (await uamqp_pair.stranger.next())[0] == "closed"


async def test_uamqp_is_detached_and_detaches(uamqp_pair: Pair) -> None:
    end, stranger = uamqp_pair.end, uamqp_pair.stranger
    for link in (await uamqp_pair.sender(), await uamqp_pair.receiver()):
        link.detach(ERROR)
        end.wake()
        await stranger.expect("detached", link.name, list(ERROR[:2]))
        await end.expect(amqp.LinkDetached(link, None, closed=True))
    for link in (await uamqp_pair.sender("out again"), await uamqp_pair.receiver("in again")):
        await stranger.tell("detach", link=link.name)
        await end.expect(amqp.LinkDetached(link, None, closed=True))


async def test_uamqp_is_refused(uamqp_pair: Pair) -> None:
    end, stranger = uamqp_pair.end, uamqp_pair.stranger
    for name, role in (("in", "sender"), ("out", "receiver")):
        await stranger.tell("attach", link=name, role=role)
        (await end.next(amqp.LinkRequested)).link.refuse(ERROR)
        end.wake()
        await stranger.expect("detached", name, list(ERROR[:2]))


async def test_uamqp_ends_a_session(uamqp_pair: Pair) -> None:
    link = await uamqp_pair.sender()
    await uamqp_pair.stranger.tell("end", error=ERROR[:2])
    await uamqp_pair.end.expect(amqp.LinkDetached(link, ERROR, closed=False))
    await uamqp_pair.end.expect(amqp.SessionEnded(link.session, ERROR))


async def test_uamqp_gets_settled_messages_and_drains(uamqp_pair: Pair) -> None:
    link = await uamqp_pair.sender()
    await uamqp_pair.give(link, 5)
    await uamqp_pair.send(link, "1", settled=True)
    await uamqp_pair.stranger.tell("drain", link=link.name, credit=3)
    await uamqp_pair.end.expect(amqp.LinkFlowed(link))
    assert (link.credit, link.drain_requested) == (3, True)
    link.drained()
    uamqp_pair.end.wake()
    await uamqp_pair.stranger.tell("close", error=ERROR[:2])  # it takes no note of credit that was given up
    await uamqp_pair.end.next(amqp.Closed)
