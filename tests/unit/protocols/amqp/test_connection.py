"""Open, close, and what ends a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from collections.abc import Callable

    Pump = Callable[[], None]
    Links = tuple[amqp.SenderLink, amqp.ReceiverLink]

HEADER = b"AMQP\x00\x01\x00\x00"


def sent(connection: amqp.Connection) -> list[object]:
    """Return the performatives that a connection wants to send, behind the header if there is one."""
    data = connection.data_to_send().removeprefix(HEADER)
    return [frame.performative for frame in amqp.FrameDecoder(1 << 20).feed(data)]


def test_open_is_exchanged(
    client: amqp.Connection, server: amqp.Connection, pump: Pump, client_events: list[amqp.Event]
) -> None:
    client.open(properties={"product": "x"})
    pump()
    assert client_events == [amqp.Opened(client)]
    assert client.remote_open is not None
    assert client.remote_open.container_id == "server"
    assert client.remote_open.hostname is None
    assert server.remote_open is not None
    assert server.remote_open.hostname == "hub.example"
    assert server.remote_open.properties == {"product": "x"}


def test_open_says_what_is_taken() -> None:
    connection = amqp.Connection(container_id="c", idle_timeout=60.0, max_frame_size=4096, channel_max=3)
    connection.open()
    (performative,) = sent(connection)
    assert performative == amqp.Open("c", None, 4096, 3, 30_000)


def test_open_twice_sends_one(client: amqp.Connection) -> None:
    client.open()
    client.open()
    assert len(sent(client)) == 1


def test_server_waits_with_its_answers_until_it_opens(server: amqp.Connection) -> None:
    # A client may send all of this without waiting (part 2, 2.4.5 and 2.5.1).
    frames = [
        amqp.encode_frame(0, amqp.Open("c")),
        amqp.encode_frame(0, amqp.Begin(None, 0, 10, 10)),
        amqp.encode_frame(0, amqp.Attach("l", 0, True, source=amqp.Source("s"))),
        amqp.encode_frame(0, amqp.Flow(0, 10, 0, 10, handle=0, delivery_count=0, link_credit=5)),
    ]
    events = server.receive_data(HEADER + b"".join(frames))
    assert [type(event) for event in events] == [
        amqp.Opened,
        amqp.SessionBegun,
        amqp.LinkRequested,
        amqp.LinkFlowed,
    ]
    assert server.data_to_send() == HEADER
    server.open()
    assert [type(performative) for performative in sent(server)] == [amqp.Open, amqp.Begin]


def test_close_by_us(
    client: amqp.Connection,
    server: amqp.Connection,
    pump: Pump,
    session: amqp.Session,
    client_events: list[amqp.Event],
    server_events: list[amqp.Event],
) -> None:
    client_events.clear()
    server_events.clear()
    client.close(amqp.AmqpError("amqp:internal-error", "tired"))
    assert not client.closed
    assert not session.is_open
    pump()
    assert server_events == [amqp.Closed(server, amqp.AmqpError("amqp:internal-error", "tired"))]
    assert client_events == [amqp.Closed(client, None)]
    assert client.closed
    assert server.closed


def test_what_comes_between_the_closes_is_discarded(
    client: amqp.Connection, server: amqp.Connection, pump: Pump, upstream: Links, client_events: list[amqp.Event]
) -> None:
    sender, receiver = upstream
    delivery_id = sender.send(b"x", tag=b"1")
    pump()
    client_events.clear()
    receiver.settle(delivery_id, amqp.Accepted())
    client.close()
    assert client.receive_data(server.data_to_send()) == []
    pump()
    assert client_events == [amqp.Closed(client, None)]


def test_a_second_close_in_the_same_read_means_nothing(rude: amqp.Connection) -> None:
    close = amqp.encode_frame(0, amqp.Close())
    assert rude.receive_data(close + close) == [amqp.Closed(rude, None)]


def test_close_instead_of_open_opens_first(server: amqp.Connection) -> None:
    server.receive_data(HEADER + amqp.encode_frame(0, amqp.Open("c")))
    server.close(amqp.AmqpError("amqp:not-allowed"))
    assert [type(performative) for performative in sent(server)] == [amqp.Open, amqp.Close]


def test_close_before_the_header_says_nothing(client: amqp.Connection, server: amqp.Connection) -> None:
    for connection in (client, server):
        connection.close()
        assert connection.closed
        assert connection.data_to_send() == b""


def test_everything_is_inert_after_the_close(
    client: amqp.Connection, server: amqp.Connection, pump: Pump, session: amqp.Session, upstream: Links
) -> None:
    sender, receiver = upstream
    delivery_id = sender.send(b"x", tag=b"1")
    pump()
    client.close()
    pump()
    receiver.settle(delivery_id, amqp.Accepted())
    receiver.flow(5)
    receiver.detach()
    sender.settle(delivery_id)
    sender.drained()
    session.end()
    client.close()
    client.open()
    assert sender.credit == receiver.credit == 0
    with pytest.raises(amqp.LinkClosedError):
        sender.send(b"x", tag=b"1")
    with pytest.raises(amqp.LinkClosedError):
        session.attach_sender("x")
    with pytest.raises(amqp.LinkClosedError):
        client.begin()
    assert client.receive_data(b"garbage") == []
    assert client.tick(1e9) is None
    assert client.data_to_send() == server.data_to_send() == b""


def test_begin_is_possible_at_once_and_has_a_bound() -> None:
    connection = amqp.Connection(container_id="c", channel_max=1)
    connection.open()
    assert [connection.begin().channel, connection.begin().channel] == [0, 1]
    with pytest.raises(amqp.LinkClosedError):
        connection.begin()


def test_the_peers_channel_max_counts_too(client: amqp.Connection) -> None:
    client.open()
    client.receive_data(HEADER + amqp.encode_frame(0, amqp.Open("s", channel_max=0)))
    client.begin()
    with pytest.raises(amqp.LinkClosedError):
        client.begin()


def test_a_channel_is_free_again_when_both_have_ended(
    client: amqp.Connection, session: amqp.Session, pump: Pump
) -> None:
    session.end()
    assert client.begin().channel == 1
    pump()
    assert client.begin().channel == 0


def test_what_does_not_fit_the_peers_frames_ends_the_connection(client: amqp.Connection) -> None:
    client.open()
    session = client.begin()
    client.data_to_send()
    opened = amqp.encode_frame(0, amqp.Open("s", max_frame_size=512))
    client.receive_data(HEADER + opened + amqp.encode_frame(0, amqp.Begin(0, 0, 10, 10)))
    session.attach_sender("x" * 600)
    assert sent(client) == [amqp.Close(amqp.AmqpError("amqp:frame-size-too-small"))]


def test_a_disposition_that_does_not_fit_ends_the_connection_and_is_the_last(
    rude_receiver: amqp.ReceiverLink, rude: amqp.Connection
) -> None:
    rude.receive_data(amqp.encode_frame(0, amqp.Transfer(0, 0, b"t"), b"x"))
    rude._output.max_frame_size = 512
    rude_receiver.settle(0, amqp.Rejected(amqp.AmqpError("amqp:internal-error", "x" * 600)))
    rude_receiver.flow(7)
    assert sent(rude) == [amqp.Close(amqp.AmqpError("amqp:frame-size-too-small"))]
    assert not rude_receiver.attached


def test_idle_peer_hears_of_us_at_half_its_time() -> None:
    connection = amqp.Connection(container_id="c", server=True, idle_timeout=None)
    connection.receive_data(HEADER + amqp.encode_frame(0, amqp.Open("peer", idle_time_out=10_000)))
    connection.open()
    assert connection.data_to_send()
    assert connection.tick(100.0) == 105.0
    assert connection.data_to_send() == b""
    assert connection.tick(104.9) == 105.0
    assert connection.data_to_send() == b""
    assert connection.tick(105.0) == 110.0
    assert connection.data_to_send() == amqp.encode_frame(0, None)
    connection.tick(105.0)
    connection.close()
    assert connection.data_to_send()
    assert connection.tick(106.0) is None


def test_silent_peer_is_found(rude: amqp.Connection) -> None:
    assert rude.tick(0.0) == 60.0
    rude.receive_data(amqp.encode_frame(0, None))
    assert rude.tick(59.0) == 119.0
    with pytest.raises(amqp.AmqpSilenceError) as caught:
        rude.tick(119.0)
    assert caught.value.condition == "amqp:resource-limit-exceeded"
    assert rude.closed
    (close,) = sent(rude)
    assert isinstance(close, amqp.Close)
    assert close.error is not None
    assert close.error.condition == "amqp:resource-limit-exceeded"


def test_peer_that_never_opens_is_found_however_much_it_says(server: amqp.Connection) -> None:
    server.tick(0.0)
    server.receive_data(HEADER)
    server.tick(30.0)
    server.receive_data(amqp.encode_frame(0, None))
    with pytest.raises(amqp.AmqpSilenceError):
        server.tick(60.0)


def test_without_idle_timeouts_there_is_nothing_to_wait_for() -> None:
    connection = amqp.Connection(container_id="c", idle_timeout=None)
    connection.open()
    assert sent(connection) == [amqp.Open("c", None, 65536, 255)]
    assert connection.tick(0.0) is None


def test_an_idle_timeout_that_is_too_short_is_refused(server: amqp.Connection) -> None:
    with pytest.raises(amqp.AmqpProtocolError, match="idle-time-out"):
        server.receive_data(HEADER + amqp.encode_frame(0, amqp.Open("c", idle_time_out=1)))
    assert server.closed
    assert [type(performative) for performative in sent(server)] == [amqp.Open, amqp.Close]
