"""Peers that break the rules, by example and at random."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
FLOW = amqp.Flow(0, 10, 0, 10)


def frame(performative: amqp.Performative, channel: int = 0, payload: bytes = b"") -> bytes:
    return amqp.encode_frame(channel, performative, payload)


def attach(handle: int, name: str = "l") -> bytes:
    return frame(amqp.Attach(name, handle, True))


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (attach(256), "amqp:connection:framing-error"),
        (attach(3) + attach(3, "m"), "amqp:session:handle-in-use"),
        (frame(amqp.Flow(0, 10, 0, 10, handle=9, delivery_count=0, link_credit=1)), "amqp:session:unattached-handle"),
        (frame(amqp.Detach(9)), "amqp:session:unattached-handle"),
        (frame(amqp.Transfer(9, 0, b"t")), "amqp:session:unattached-handle"),
        (attach(3) + frame(amqp.Transfer(3, 0, b"t")), "amqp:session:unattached-handle"),
        (frame(FLOW, channel=1), "amqp:connection:framing-error"),
        (frame(amqp.Transfer(0, 0, b"t"), channel=1), "amqp:connection:framing-error"),
        (frame(amqp.End(), channel=1), "amqp:connection:framing-error"),
        (frame(amqp.Begin(None, 0, 1, 1), channel=256), "amqp:connection:framing-error"),
        (frame(amqp.Begin(None, 0, 1, 1)), "amqp:illegal-state"),
        (frame(amqp.Begin(7, 0, 1, 1), channel=1), "amqp:invalid-field"),
        (frame(amqp.Begin(0, 0, 1, 1), channel=1), "amqp:invalid-field"),
        (frame(amqp.Open("again")), "amqp:illegal-state"),
        (frame(amqp.Disposition(True, 5, 4, settled=True)), "amqp:invalid-field"),
        ((1 << 20).to_bytes(4, "big") + bytes(4), "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x00\x02\x00\x00\x00", "amqp:connection:framing-error"),
    ],
)
def test_a_broken_rule_closes_the_connection_once(
    rude: amqp.Connection, rude_sender: amqp.SenderLink, data: bytes, condition: str
) -> None:
    rude_sender.send(b"x", tag=b"t")
    rude.data_to_send()
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        rude.receive_data(data)
    assert caught.value.condition == condition
    assert rude.closed
    assert not rude_sender.attached
    close = amqp.FrameDecoder(65536).feed(rude.data_to_send())[-1].performative
    assert close == amqp.Close(amqp.AmqpError(condition, str(caught.value)))
    assert rude.receive_data(data) == []
    assert rude.data_to_send() == b""


@pytest.mark.parametrize(
    "data",
    [
        frame(amqp.Transfer(0, 1, b"t")) + frame(amqp.Transfer(0, 3, b"t")),
        frame(amqp.Transfer(0, 1, b"t")) + frame(amqp.Transfer(0, 1, b"t")),
        frame(amqp.Transfer(0, None, b"t")),
        frame(amqp.Transfer(0, 0, None)),
        frame(amqp.Transfer(0, 0, b"t", more=True)) + frame(amqp.Transfer(0, 1, b"t")),
    ],
)
def test_delivery_ids_come_in_sequence(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink, data: bytes) -> None:
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        rude.receive_data(data)
    assert caught.value.condition == "amqp:invalid-field"
    assert not rude_receiver.attached


@pytest.mark.parametrize("performative", [FLOW, amqp.Begin(None, 0, 1, 1), amqp.Close(), amqp.Transfer(0)])
def test_nothing_comes_before_open(server: amqp.Connection, performative: amqp.Performative) -> None:
    with pytest.raises(amqp.AmqpProtocolError):
        server.receive_data(HEADER + frame(performative))
    frames = amqp.FrameDecoder(65536).feed(server.data_to_send()[8:])
    assert [type(frame.performative) for frame in frames] == [amqp.Open, amqp.Close]


def test_a_max_frame_size_below_512_is_refused(server: amqp.Connection) -> None:
    with pytest.raises(amqp.AmqpProtocolError, match="max-frame-size"):
        server.receive_data(HEADER + frame(amqp.Open("c", max_frame_size=511)))


def test_more_sessions_than_channels_is_an_error() -> None:
    server = amqp.Connection(container_id="s", server=True)
    server.receive_data(HEADER + frame(amqp.Open("c", channel_max=1)))
    server.receive_data(frame(amqp.Begin(None, 0, 1, 1), 5) + frame(amqp.Begin(None, 0, 1, 1), 6))
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        server.receive_data(frame(amqp.Begin(None, 0, 1, 1), 7))
    assert caught.value.condition == "amqp:resource-limit-exceeded"


def test_more_links_than_the_peer_has_handles_for_is_an_error() -> None:
    server = amqp.Connection(container_id="s", server=True)
    server.receive_data(HEADER + frame(amqp.Open("c")) + frame(amqp.Begin(None, 0, 1, 1, handle_max=0)))
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        server.receive_data(attach(1) + attach(2, "m"))
    assert caught.value.condition == "amqp:resource-limit-exceeded"


def test_a_name_that_does_not_fit_the_peers_own_frames_closes_the_connection() -> None:
    server = amqp.Connection(container_id="s", server=True)
    server.receive_data(HEADER + frame(amqp.Open("c", max_frame_size=512)) + frame(amqp.Begin(None, 0, 1, 1)))
    server.open()
    server.receive_data(attach(0, "x" * 1000) + frame(amqp.Detach(0)) + frame(FLOW))
    performatives = [found.performative for found in amqp.FrameDecoder(65536).feed(server.data_to_send()[8:])]
    assert [type(performative) for performative in performatives] == [amqp.Open, amqp.Begin, amqp.Close]
    assert server.receive_data(frame(amqp.Close())) == [amqp.Closed(server, None)]


def test_answers_that_nobody_reads_have_a_bound(rude: amqp.Connection) -> None:
    cycle = attach(0, "x" * 10_000) + frame(amqp.Detach(0, True))
    for _ in range(4 * 1024 * 1024 // len(cycle) - 20):
        rude.receive_data(cycle)
    rude.receive_data(cycle * 40)
    with pytest.raises(amqp.AmqpProtocolError, match="not read") as caught:
        rude.receive_data(cycle)
    assert caught.value.condition == "amqp:resource-limit-exceeded"
    assert len(rude.data_to_send()) < 5 * 1024 * 1024


def test_answers_that_wait_for_open_have_a_bound(server: amqp.Connection) -> None:
    server.receive_data(HEADER + frame(amqp.Open("c")) + frame(amqp.Begin(None, 0, 10, 10)))
    cycle = attach(0, "x" * 10_000) + frame(amqp.Detach(0, True))
    for _ in range(4 * 1024 * 1024 // len(cycle) - 20):
        server.receive_data(cycle)
        server.data_to_send()
    server.receive_data(cycle * 40)
    with pytest.raises(amqp.AmqpProtocolError, match="not read"):
        server.receive_data(cycle)


def test_huge_ranges_cost_nothing(rude: amqp.Connection, rude_sender: amqp.SenderLink) -> None:
    for number in range(1000):
        rude_sender.send(b"", tag=number.to_bytes(2, "big"))
    undecided = frame(amqp.Disposition(True, 0, 0x7FFFFFFF, state=amqp.Accepted()))
    begin = time.process_time()
    events = rude.receive_data(undecided * 2000)
    events += rude.receive_data(frame(amqp.Disposition(True, 0, 0x7FFFFFFF, True, amqp.Accepted())) * 2000)
    # A loop over the ids would take minutes. So would events for deliveries whose outcome has been told.
    assert time.process_time() - begin < 5
    assert len(events) == 2000


def test_empty_continuations_take_no_memory(rude: amqp.Connection, rude_receiver: amqp.ReceiverLink) -> None:
    rude.receive_data(frame(amqp.Transfer(0, 0, b"t", more=True)))
    more = frame(amqp.Transfer(0, more=True)) * 1000
    for _ in range(5):
        assert rude.receive_data(more) == []
        rude.data_to_send()
    assert rude_receiver._partial is not None
    assert rude_receiver._partial.data == bytearray()


def test_a_server_that_challenges_for_ever_is_left() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.plain("user", "secret"))
    client.open()
    offer = amqp.encode_frame(0, amqp.SaslMechanisms((amqp.Symbol("PLAIN"),)), frame_type=1)
    challenge = amqp.encode_frame(0, amqp.SaslChallenge(bytes(100)), frame_type=1)
    client.receive_data(SASL_HEADER + offer)
    with pytest.raises(amqp.AmqpProtocolError):
        client.receive_data(challenge * 1000)
    assert client.closed


def test_a_client_that_repeats_its_init_is_refused() -> None:
    server = amqp.Connection(container_id="s", server=True, sasl=amqp.SaslServer(["PLAIN"]))
    init = amqp.encode_frame(0, amqp.SaslInit(amqp.Symbol("PLAIN"), b"\0a\0b"), frame_type=1)
    events = server.receive_data(SASL_HEADER + init * 3)
    assert [type(event) for event in events] == [amqp.SaslInitReceived]
    with pytest.raises(amqp.AmqpProtocolError):
        server.sasl_outcome(amqp.SASL_OK)


# At random: whatever comes in whatever state, there are events or there is an AmqpProtocolError.


def unspoken(server: bool) -> amqp.Connection:
    connection = amqp.Connection(container_id="x", server=server, max_frame_size=4096, max_message_size=10_000)
    if not server:
        connection.open()
    return connection


def in_sasl(server: bool) -> amqp.Connection:
    sasl = amqp.SaslServer(["PLAIN"]) if server else amqp.plain("user", "secret")
    connection = amqp.Connection(container_id="x", server=server, sasl=sasl)
    if not server:
        connection.open()
    connection.receive_data(SASL_HEADER)
    return connection


def opened(server: bool) -> amqp.Connection:
    connection = unspoken(server)
    connection.receive_data(HEADER + frame(amqp.Open("peer")))
    connection.open()
    return connection


def at_work(server: bool) -> amqp.Connection:
    """A connection with a link in each direction, both in use."""
    connection = opened(server)
    session = connection.begin()
    sender, receiver = session.attach_sender("a"), session.attach_receiver("b")
    connection.receive_data(
        frame(amqp.Begin(0, 0, 5, 5))
        + frame(amqp.Attach("a", 0, True, target=amqp.Target("t")))
        + frame(amqp.Attach("b", 1, False, source=amqp.Source("s"), initial_delivery_count=0))
        + frame(amqp.Flow(0, 5, 0, 5, handle=0, delivery_count=0, link_credit=5))
    )
    receiver.flow(100)
    for number in range(4):
        sender.send(bytes(3000), tag=bytes([number]))
    connection.receive_data(frame(amqp.Transfer(1, 0, b"t"), payload=b"x"))
    return connection


def rudely(connection: amqp.Connection, data: bytes) -> None:
    """Feed a connection and use whatever it tells of; nothing but a protocol error may come out."""
    try:
        for event in connection.receive_data(data):
            match event:
                case amqp.SaslInitReceived():
                    connection.sasl_outcome(amqp.SASL_OK)
                case amqp.Opened():
                    connection.open()
                case amqp.LinkRequested(link=link):
                    link.accept(source=amqp.Source("s"), target=amqp.Target("t"))
                    if isinstance(link, amqp.ReceiverLink):
                        link.flow(3)
                case amqp.TransferReceived(link=link, delivery_id=delivery_id):
                    link.settle(delivery_id, amqp.Accepted())
                case amqp.LinkFlowed(link=link):
                    if isinstance(link, amqp.SenderLink) and link.attached and link.credit:
                        link.send(bytes(5000), tag=b"t")
                case _:
                    pass
        connection.tick(0.0)
    except amqp.AmqpProtocolError:
        assert connection.closed
    sent = connection.data_to_send()
    assert len(sent) < 1_000_000
    for header in (SASL_HEADER, HEADER):
        sent = sent.removeprefix(header)
    amqp.FrameDecoder(65536).feed(sent)


STATES = [unspoken, in_sasl, opened, at_work]
small = st.integers(0, 3) | st.sampled_from([0xFF, 0xFFFFFFFE, 0xFFFFFFFF])
channels = st.integers(0, 2) | st.just(65535)
states = st.sampled_from(
    [None, amqp.Accepted(), amqp.Released(), amqp.Rejected(), amqp.Modified(), amqp.Received(0, 0)]
)
flags = st.booleans()


def made(
    kind: Callable[..., amqp.Performative], **fields: st.SearchStrategy[object]
) -> st.SearchStrategy[amqp.Performative]:
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


performatives = st.one_of(
    made(
        amqp.Open,
        container_id=st.just("p"),
        max_frame_size=st.sampled_from([0, 512, 0xFFFFFFFF]),
        idle_time_out=st.sampled_from([None, 0, 5, 1000]),
    ),
    made(
        amqp.Begin,
        remote_channel=st.none() | channels,
        next_outgoing_id=small,
        incoming_window=small,
        outgoing_window=small,
        handle_max=small,
    ),
    made(
        amqp.Attach,
        name=st.sampled_from(["a", "b", "c", "x" * 600]),
        handle=small,
        role=flags,
        source=st.sampled_from([None, amqp.Source("s")]),
        target=st.sampled_from([None, amqp.Target("t")]),
        initial_delivery_count=st.none() | small,
        max_message_size=st.none() | small,
    ),
    made(
        amqp.Flow,
        next_incoming_id=st.none() | small,
        incoming_window=small,
        next_outgoing_id=small,
        outgoing_window=small,
        handle=st.none() | small,
        delivery_count=st.none() | small,
        link_credit=st.none() | small,
        drain=flags,
        echo=flags,
    ),
    made(
        amqp.Transfer,
        handle=small,
        delivery_id=st.none() | small,
        delivery_tag=st.none() | st.just(b"t"),
        settled=st.none() | flags,
        more=flags,
        aborted=flags,
    ),
    made(amqp.Disposition, role=flags, first=small, last=st.none() | small, settled=flags, state=states),
    made(amqp.Detach, handle=small, closed=flags),
    st.sampled_from([amqp.End(), amqp.Close(), amqp.SaslInit(amqp.Symbol("PLAIN"), b"\0u\0p"), amqp.SaslOutcome(0)]),
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Valid frames in no sensible order, sometimes with some bytes changed."""
    parts: list[bytes] = []
    for performative in draw(st.lists(performatives, max_size=12)):
        sasl = isinstance(performative, amqp.SaslInit | amqp.SaslOutcome)
        payload = draw(st.binary(max_size=10)) if isinstance(performative, amqp.Transfer) else b""
        channel = draw(channels)
        parts.append(amqp.encode_frame(channel, performative, payload, frame_type=1 if sasl else 0))
    data = bytearray(b"".join(parts))
    for _ in range(draw(st.integers(0, 3)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("state", STATES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_conversations_at_random(state: Callable[[bool], amqp.Connection], server: bool, data: st.DataObject) -> None:
    connection = state(server)
    header = data.draw(st.sampled_from([b"", b"", HEADER]))
    for part in data.draw(st.lists(conversations(), min_size=1, max_size=4)):
        rudely(connection, header + part)
        header = b""


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("state", STATES)
@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.binary(max_size=60), max_size=4))
def test_bytes_at_random(state: Callable[[bool], amqp.Connection], server: bool, parts: list[bytes]) -> None:
    connection = state(server)
    for part in parts:
        rudely(connection, part)
