from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols.amqp import Transfer, encode_frame
from c2dkit._protocols.amqp._composites import AMQP_PERFORMATIVES, composite_at
from c2dkit._protocols.amqp._decode import MALFORMED
from c2dkit._protocols.amqp._transfer import usual_transfer

HEADER = 8
uints = st.integers(0, 300) | st.integers(0, 2**32 - 1)
transfers = st.tuples(uints, uints, st.binary(max_size=32), uints, st.booleans(), st.booleans()).map(
    lambda fields: Transfer(*fields)
)


@given(transfers, st.binary(max_size=20))
def test_the_usual_shape_takes_the_short_way(transfer: Transfer, payload: bytes) -> None:
    data = encode_frame(0, transfer, payload)
    assert usual_transfer(data, HEADER, len(data)) == (transfer, len(data) - len(payload))


@given(transfers, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3), st.integers(0, 60))
def test_both_ways_agree_on_whatever_comes(transfer: Transfer, changes: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(encode_frame(0, transfer)[HEADER:])
    for index, value in changes:
        body[index % len(body)] = value
    data = bytes(body[: len(body) - cut] or body)
    with suppress(*MALFORMED):
        usual = usual_transfer(data, 0, len(data))
        if usual is not None:
            assert composite_at(data, 0, AMQP_PERFORMATIVES) == usual


@pytest.mark.parametrize(
    "transfer",
    [
        Transfer(0),
        Transfer(0, 1, b"tag"),
        Transfer(0, 1, b"tag", 0, settled=True, aborted=True),
        Transfer(0, None, b"tag", 0, settled=True),
    ],
)
def test_other_shapes_take_the_long_way(transfer: Transfer) -> None:
    data = encode_frame(0, transfer)
    assert usual_transfer(data, HEADER, len(data)) is None


def test_a_transfer_that_reaches_into_the_next_frame_is_none() -> None:
    data = encode_frame(0, Transfer(0, 1, b"tag", 0, settled=False, more=True))
    assert usual_transfer(data + b"more", HEADER, len(data) - 1) is None
