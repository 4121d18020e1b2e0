from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.amqp import (
    Accepted,
    AmqpError,
    AmqpProtocolError,
    Attach,
    Begin,
    Close,
    Described,
    Disposition,
    Flow,
    Frame,
    FrameDecoder,
    Open,
    SaslInit,
    SaslOutcome,
    Source,
    Target,
    Transfer,
    ULong,
    encode_frame,
    encode_value,
)

MAX = 1000
FRAMES = [
    Frame(0, 0, Open("c", "h", 65536, 10, 1000, properties={"p": "v"}), b""),
    Frame(0, 0, None, b""),
    Frame(1, 0, Begin(None, 0, 10, 10), b""),
    Frame(1, 0, Attach("l", 0, role=True, source=Source("/s"), target=Target()), b""),
    Frame(1, 0, Flow(0, 10, 0, 10, 0, 0, 100), b""),
    Frame(1, 0, Transfer(0, 0, b"tag", 0, settled=False), b"payload"),
    Frame(65535, 0, Transfer(0), b""),
    Frame(1, 0, Disposition(role=True, first=0, settled=True, state=Accepted()), b""),
    Frame(0, 0, Close(AmqpError("amqp:not-found", "d")), b""),
]


def encode(frame: Frame) -> bytes:
    return encode_frame(frame.channel, frame.performative, frame.payload, frame_type=frame.frame_type)


STREAM = b"".join(map(encode, FRAMES))


@pytest.mark.parametrize(
    ("frame", "encoding"),
    [
        (Frame(0, 0, None, b""), "00000008 02 00 0000"),
        (Frame(258, 0, Close(), b""), "0000000c 02 00 0102 00531845"),
        (Frame(0, 0, Transfer(0, 1), b"\xff"), "00000012 02 00 0000 005314 c00402 43 5201 ff"),
        (Frame(0, 1, SaslOutcome(0), b""), "00000010 02 01 0000 005344 c00301 5000"),
    ],
)
def test_golden_vectors_both_ways(frame: Frame, encoding: str) -> None:
    assert encode(frame).hex() == encoding.replace(" ", "")
    assert FrameDecoder(MAX).feed(bytes.fromhex(encoding)) == [frame]


def test_an_extended_header_is_skipped() -> None:
    data = bytes.fromhex("00000010 03 00 0000 deadbeef 00531845")
    assert FrameDecoder(MAX).feed(data) == [Frame(0, 0, Close(), b"")]


def test_many_frames_in_one_read() -> None:
    assert FrameDecoder(MAX).feed(STREAM) == FRAMES


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31])
def test_reads_of_any_size(size: int) -> None:
    decoder = FrameDecoder(MAX)
    reads = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [frame for read in reads for frame in decoder.feed(read)] == FRAMES


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_reads_cut_anywhere(cuts: list[int]) -> None:
    decoder = FrameDecoder(MAX)
    edges = [0, *sorted(cuts), len(STREAM)]
    reads = [STREAM[start:stop] for start, stop in pairwise(edges)]
    assert [frame for read in reads for frame in decoder.feed(read)] == FRAMES
    assert decoder.unread() == b""


def test_decoding_stops_behind_a_sasl_frame() -> None:
    outcome = encode_frame(0, SaslOutcome(0), frame_type=1)
    decoder = FrameDecoder(MAX)
    assert decoder.feed(outcome + b"AMQP\0\1\0\0") == [Frame(0, 1, SaslOutcome(0), b"")]
    assert decoder.unread() == b"AMQP\0\1\0\0"
    assert decoder.unread() == b""
    assert decoder.feed(STREAM) == FRAMES


def test_what_stands_behind_a_sasl_frame_is_decoded_by_the_next_feed() -> None:
    init = encode_frame(0, SaslInit("ANONYMOUS"), frame_type=1)
    decoder = FrameDecoder(MAX)
    assert len(decoder.feed(init * 2)) == 1
    assert decoder.feed(b"") == [Frame(0, 1, SaslInit("ANONYMOUS"), b"")]


def test_a_frame_of_the_greatest_size_is_fine() -> None:
    frame = encode_frame(0, Transfer(0), b"x" * (MAX - len(encode_frame(0, Transfer(0)))))
    assert len(frame) == MAX
    assert len(FrameDecoder(MAX).feed(frame)) == 1
    decoder = FrameDecoder(MAX - 1)
    decoder.max_frame_size = MAX
    assert len(decoder.feed(frame)) == 1


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        ("smaller than its header", "00000007 02 00 0000"),
        ("a size of zero", "00000000 02 00 0000"),
        ("a data offset inside of the header", "00000008 01 00 0000"),
        ("a data offset behind the end", "00000008 03 00 0000"),
        ("an unknown type", "00000008 02 02 0000"),
        ("too large", "000003e9 02 00 0000"),
        ("far too large", "ffffffff 02 00 0000"),
        ("a protocol header", b"AMQP\0\1\0\0".hex()),
    ],
)
def test_a_broken_header_is_refused_before_the_body_has_come(reason: str, header: str) -> None:
    with pytest.raises(AmqpProtocolError) as caught:
        FrameDecoder(MAX).feed(bytes.fromhex(header))
    assert caught.value.condition == "amqp:connection:framing-error", reason


def _frame(body: bytes, frame_type: int = 0) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + bytes((2, frame_type, 0, 0)) + body


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("no performative", _frame(b"\x40")),
        ("a composite that is no performative", _frame(encode_value(Accepted()))),
        ("an unknown descriptor", _frame(encode_value(Described(ULong(0x7F), [])))),
        ("a SASL performative in an AMQP frame", _frame(encode_value(SaslOutcome(0)))),
        ("an AMQP performative in a SASL frame", _frame(encode_value(Close()), 1)),
        ("an empty SASL frame", _frame(b"", 1)),
        ("bytes behind a performative without payload", _frame(encode_value(Close()) + b"x")),
        ("bytes behind a SASL performative", _frame(encode_value(SaslOutcome(0)) + b"x", 1)),
        ("a performative that reaches into the next frame", _frame(b"\x00\x53\x14\xc0\x0a\x01\xa0\x08") + _frame(b"")),
        ("a transfer that reaches into the next frame", _frame(bytes.fromhex("005314c007024370")) + _frame(b"")),
        ("a performative that is cut off", _frame(encode_value(Close(AmqpError("e")))[:-1])),
        ("a descriptor that is cut off", _frame(b"\x00")),
        ("nested too deeply", _frame(b"\x00" * 900)),
    ],
)
def test_a_broken_body_is_refused(reason: str, frame: bytes) -> None:
    with pytest.raises(AmqpProtocolError) as caught:
        FrameDecoder(MAX).feed(frame)
    assert caught.value.condition == "amqp:decode-error", reason


@given(st.binary(max_size=80), st.integers(0, 1))
def test_random_bodies_raise_nothing_but_the_protocol_error(body: bytes, frame_type: int) -> None:
    with suppress(AmqpProtocolError):
        FrameDecoder(MAX).feed(_frame(body, frame_type))


@given(st.sampled_from(FRAMES), st.data())
def test_changed_frames_raise_nothing_but_the_protocol_error(frame: Frame, data: st.DataObject) -> None:
    encoding = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 3))):
        encoding[data.draw(st.integers(0, len(encoding) - 1))] = data.draw(st.integers(0, 255))
    with suppress(AmqpProtocolError):
        for decoded in FrameDecoder(MAX).feed(bytes(encoding)):
            assert FrameDecoder(MAX).feed(encode(decoded)) == [decoded]


def test_the_payload_is_not_shown() -> None:
    assert "secret" not in repr(Frame(0, 0, Transfer(0), b"secret"))
