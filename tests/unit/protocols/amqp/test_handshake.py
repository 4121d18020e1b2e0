"""Protocol headers and the SASL layer, in both roles."""

from __future__ import annotations

import pytest

from c2dkit._protocols import amqp

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
OFFER = ("EXTERNAL", "MSSBCBS", "ANONYMOUS", "PLAIN")


def sasl_server(*, accept_plain: bool = True) -> amqp.Connection:
    return amqp.Connection(container_id="s", server=True, sasl=amqp.SaslServer(OFFER), accept_plain=accept_plain)


def sasl_frame(
    performative: amqp.SaslInit | amqp.SaslMechanisms | amqp.SaslChallenge | amqp.SaslOutcome,
) -> bytes:
    return amqp.encode_frame(0, performative, frame_type=1)


def init(mechanism: str, response: bytes | None = None) -> bytes:
    return sasl_frame(amqp.SaslInit(amqp.Symbol(mechanism), response))


def exchange(client: amqp.Connection, server: amqp.Connection, code: int = 0) -> list[amqp.Event]:
    """Join the two byte by byte until both are quiet; the server gives the same outcome to everyone."""
    events: list[amqp.Event] = []
    client.open()
    while True:
        forth = client.data_to_send()
        for byte in forth:
            for event in server.receive_data(bytes([byte])):
                events.append(event)
                if isinstance(event, amqp.SaslInitReceived):
                    server.sasl_outcome(code)
                if isinstance(event, amqp.Opened):
                    server.open()
        back = server.data_to_send()
        for byte in back:
            events += client.receive_data(bytes([byte]))
        if not forth and not back:
            return events


@pytest.mark.parametrize(
    ("sasl", "response"),
    [
        (amqp.plain("dev@sas.hub", "secret"), b"\0dev@sas.hub\0secret"),
        (amqp.external(), b""),
        (amqp.anonymous(), b""),
        (amqp.mssbcbs(), None),
    ],
)
def test_each_mechanism_opens(sasl: amqp.SaslClient, response: bytes | None) -> None:
    client = amqp.Connection(container_id="c", sasl=sasl)
    server = sasl_server()
    events = exchange(client, server)
    assert events == [
        amqp.SaslInitReceived(server, sasl.mechanism, response),
        amqp.Opened(server),
        amqp.Opened(client),
    ]


def test_a_server_may_insist_on_sasl() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.anonymous())
    server = sasl_server(accept_plain=False)
    assert exchange(client, server)[1:] == [amqp.Opened(server), amqp.Opened(client)]


def test_credentials_are_not_shown() -> None:
    sasl = amqp.plain("dev", "secret")
    assert "secret" not in repr(sasl)
    server = sasl_server()
    (event,) = server.receive_data(SASL_HEADER + init("PLAIN", sasl.initial_response))
    assert "secret" not in repr(event)


def test_refused_credentials_close_both_ends() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.plain("dev", "wrong"))
    server = sasl_server()
    events = exchange(client, server, code=amqp.SASL_AUTH)
    assert events[1:] == [amqp.SaslFailed(client, amqp.SASL_AUTH)]
    assert client.closed
    assert server.closed
    assert client.data_to_send() == server.data_to_send() == b""


def test_server_offers_its_mechanisms_in_order() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER)
    data = server.data_to_send()
    assert data.startswith(SASL_HEADER)
    (frame,) = amqp.FrameDecoder(512).feed(data[8:])
    assert frame.performative == amqp.SaslMechanisms(OFFER)


def test_a_server_with_sasl_takes_a_client_without() -> None:
    client, server = amqp.Connection(container_id="c"), sasl_server()
    assert exchange(client, server) == [amqp.Opened(server), amqp.Opened(client)]


def test_a_server_that_insists_on_sasl_says_so() -> None:
    server = sasl_server(accept_plain=False)
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        server.receive_data(AMQP_HEADER)
    assert caught.value.condition == "amqp:connection:framing-error"
    assert server.closed
    assert server.data_to_send() == SASL_HEADER


@pytest.mark.parametrize("header", [b"AMQP\x00\x00\x09\x01", b"AMQP\x02\x01\x00\x00", b"GET ", b"\x16", SASL_HEADER])
def test_another_header_is_answered_with_ours(server: amqp.Connection, header: bytes) -> None:
    with pytest.raises(amqp.AmqpProtocolError):
        server.receive_data(header)
    assert server.data_to_send() == AMQP_HEADER


def test_a_header_may_come_in_parts(server: amqp.Connection) -> None:
    assert server.receive_data(b"AM") == []
    assert server.data_to_send() == b""
    server.receive_data(b"QP\x00\x01\x00\x00")
    assert server.data_to_send() == AMQP_HEADER


@pytest.mark.parametrize("sasl", [None, amqp.mssbcbs()])
def test_client_takes_only_the_header_it_sent(sasl: amqp.SaslClient | None) -> None:
    client = amqp.Connection(container_id="c", sasl=sasl)
    client.open()
    wrong = SASL_HEADER if sasl is None else AMQP_HEADER
    with pytest.raises(amqp.AmqpProtocolError, match="protocol header"):
        client.receive_data(wrong)
    assert client.closed


def test_client_waits_for_the_outcome_before_it_says_more() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.mssbcbs())
    client.open()
    client.begin()
    assert client.data_to_send() == SASL_HEADER
    client.receive_data(SASL_HEADER + sasl_frame(amqp.SaslMechanisms((amqp.Symbol("MSSBCBS"),))))
    (frame,) = amqp.FrameDecoder(512).feed(client.data_to_send())
    assert frame.performative == amqp.SaslInit("MSSBCBS", None, None)
    client.receive_data(sasl_frame(amqp.SaslOutcome(0)))
    data = client.data_to_send()
    assert data.startswith(AMQP_HEADER)
    frames = amqp.FrameDecoder(65536).feed(data[8:])
    assert [type(frame.performative) for frame in frames] == [amqp.Open, amqp.Begin]


def test_what_a_client_sends_ahead_is_taken_with_the_outcome() -> None:
    server = sasl_server()
    ahead = AMQP_HEADER + amqp.encode_frame(0, amqp.Open("eager"))
    events = server.receive_data(SASL_HEADER + init("ANONYMOUS") + ahead[:20])
    assert [type(event) for event in events] == [amqp.SaslInitReceived]
    assert server.receive_data(ahead[20:]) == []
    assert server.sasl_outcome(amqp.SASL_OK) == [amqp.Opened(server)]


def test_what_a_client_sends_ahead_has_a_bound() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER + init("ANONYMOUS"))
    with pytest.raises(amqp.AmqpProtocolError, match="too much"):
        server.receive_data(bytes(70_000))
    assert server.closed


def test_nonsense_sent_ahead_raises_with_the_outcome() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER + init("ANONYMOUS") + b"nonsense")
    with pytest.raises(amqp.AmqpProtocolError):
        server.sasl_outcome(amqp.SASL_OK)
    assert server.closed


def test_a_token_of_some_kilobytes_fits_into_plain_but_no_more() -> None:
    server = sasl_server()
    (event,) = server.receive_data(SASL_HEADER + init("PLAIN", bytes(7000)))
    assert isinstance(event, amqp.SaslInitReceived)
    server = sasl_server()
    with pytest.raises(amqp.AmqpProtocolError):
        server.receive_data(SASL_HEADER + init("PLAIN", bytes(9000))[:8])


def test_a_mechanism_that_was_not_offered_is_refused() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER)
    server.data_to_send()
    with pytest.raises(amqp.AmqpProtocolError) as caught:
        server.receive_data(init("GSSAPI"))
    assert caught.value.condition == "amqp:unauthorized-access"
    assert server.data_to_send() == sasl_frame(amqp.SaslOutcome(amqp.SASL_AUTH))


def test_client_does_not_use_what_is_not_offered() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.plain("dev", "secret"))
    client.open()
    client.data_to_send()
    with pytest.raises(amqp.AmqpProtocolError, match="EXTERNAL, GSSAPI") as caught:
        client.receive_data(
            SASL_HEADER + sasl_frame(amqp.SaslMechanisms((amqp.Symbol("EXTERNAL"), amqp.Symbol("GSSAPI"))))
        )
    assert "secret" not in str(caught.value)
    assert client.data_to_send() == b""


@pytest.mark.parametrize(
    "performative",
    [
        amqp.SaslChallenge(b"?"),
        amqp.SaslOutcome(0),
        amqp.SaslInit(amqp.Symbol("PLAIN")),
    ],
)
def test_client_takes_sasl_frames_only_in_their_order(
    performative: amqp.SaslChallenge | amqp.SaslOutcome | amqp.SaslInit,
) -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.mssbcbs())
    client.open()
    with pytest.raises(amqp.AmqpProtocolError):
        client.receive_data(SASL_HEADER + sasl_frame(performative))


def test_client_chooses_once() -> None:
    client = amqp.Connection(container_id="c", sasl=amqp.mssbcbs())
    client.open()
    offer = sasl_frame(amqp.SaslMechanisms((amqp.Symbol("MSSBCBS"),)))
    client.receive_data(SASL_HEADER + offer)
    with pytest.raises(amqp.AmqpProtocolError):
        client.receive_data(offer)


def test_server_takes_only_init() -> None:
    with pytest.raises(amqp.AmqpProtocolError):
        sasl_server().receive_data(SASL_HEADER + sasl_frame(amqp.SaslOutcome(0)))


def test_an_amqp_frame_in_the_sasl_layer_is_an_error() -> None:
    with pytest.raises(amqp.AmqpProtocolError, match="SASL frame"):
        sasl_server().receive_data(SASL_HEADER + amqp.encode_frame(0, amqp.Open("c")))


def test_a_sasl_frame_behind_the_sasl_layer_is_an_error(rude: amqp.Connection) -> None:
    with pytest.raises(amqp.AmqpProtocolError, match="type 1"):
        rude.receive_data(init("PLAIN"))


def test_a_second_sasl_layer_is_an_error() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER + init("ANONYMOUS"))
    server.sasl_outcome(amqp.SASL_OK)
    server.data_to_send()
    with pytest.raises(amqp.AmqpProtocolError):
        server.receive_data(SASL_HEADER)
    assert server.data_to_send() == AMQP_HEADER


def test_outcome_needs_an_init(client: amqp.Connection, rude: amqp.Connection) -> None:
    for connection in (client, rude, sasl_server()):
        with pytest.raises(RuntimeError):
            connection.sasl_outcome(amqp.SASL_OK)


def test_outcome_for_a_client_that_has_been_given_up_means_nothing() -> None:
    server = sasl_server()
    server.receive_data(SASL_HEADER + init("ANONYMOUS"))
    server.close()
    assert server.sasl_outcome(amqp.SASL_OK) == []
