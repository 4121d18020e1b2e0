"""The order of what leaves, and what becomes one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._protocols import amqp
from c2dkit._protocols.amqp._output import Output

ACCEPTED = amqp.Accepted()
REJECTED = amqp.Rejected()
MASK = 0xFFFFFFFF


def too_large() -> None:
    raise AssertionError


def output() -> Output:
    made = Output(too_large)
    made.open(b"")
    return made


def taken(made: Output) -> list[object]:
    return [frame.performative for frame in amqp.FrameDecoder(1 << 20).feed(made.take())]


def settle(made: Output, *ids: int, state: amqp.DeliveryState | None = ACCEPTED) -> None:
    for delivery_id in ids:
        made.disposition(0, delivery_id, state, role=True, settled=True)


@pytest.mark.parametrize(
    ("ids", "ranges"),
    [
        ([3], [(3, None)]),
        ([3, 4, 5], [(3, 5)]),
        ([5, 4, 3], [(3, 5)]),
        ([4, 5, 3, 6], [(3, 6)]),
        ([3, 5], [(3, None), (5, None)]),
        ([MASK, 0], [(MASK, 0)]),
        ([0, MASK], [(MASK, 0)]),
    ],
)
def test_neighbours_become_ranges(ids: list[int], ranges: list[tuple[int, int | None]]) -> None:
    made = output()
    settle(made, *ids)
    assert taken(made) == [amqp.Disposition(True, first, last, True, ACCEPTED) for first, last in ranges]
    assert taken(made) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (amqp.Accepted(), amqp.Released()),
        (amqp.Accepted(), None),
        (amqp.Rejected(), amqp.Rejected(amqp.AmqpError("x"))),
        (amqp.Modified(delivery_failed=True), amqp.Modified(delivery_failed=False)),
        (amqp.Rejected(), amqp.Modified()),
    ],
)
def test_different_outcomes_are_never_merged(one: amqp.Outcome, other: amqp.Outcome | None) -> None:
    made = output()
    settle(made, 0, state=one)
    settle(made, 1, state=other)
    assert taken(made) == [
        amqp.Disposition(True, 0, None, True, one),
        amqp.Disposition(True, 1, None, True, other),
    ]


def test_one_outcome_object_or_equal_empty_ones_are_merged() -> None:
    made = output()
    settle(made, 0, 1, state=REJECTED)
    settle(made, 2, state=amqp.Accepted())
    settle(made, 3, state=amqp.Accepted())
    assert taken(made) == [
        amqp.Disposition(True, 0, 1, True, REJECTED),
        amqp.Disposition(True, 2, 3, True, ACCEPTED),
    ]


def test_roles_channels_and_settled_are_kept_apart() -> None:
    made = output()
    made.disposition(0, 0, ACCEPTED, role=True, settled=True)
    made.disposition(0, 1, ACCEPTED, role=False, settled=True)
    made.disposition(0, 2, ACCEPTED, role=False, settled=False)
    made.disposition(1, 3, ACCEPTED, role=False, settled=False)
    frames = amqp.FrameDecoder(1 << 20).feed(made.take())
    assert [(frame.channel, frame.performative) for frame in frames] == [
        (0, amqp.Disposition(True, 0, None, True, ACCEPTED)),
        (0, amqp.Disposition(False, 1, None, True, ACCEPTED)),
        (0, amqp.Disposition(False, 2, None, False, ACCEPTED)),
        (1, amqp.Disposition(False, 3, None, False, ACCEPTED)),
    ]


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from([ACCEPTED, amqp.Released()]), st.booleans())))
def test_ranges_say_what_was_settled_in_its_order(
    settled: list[tuple[int, amqp.Accepted | amqp.Released, bool]],
) -> None:
    """Other frames in between must find every outcome that was told before them in front of them."""
    made = output()
    told: list[object] = []
    for delivery_id, state, then_another_frame in settled:
        settle(made, delivery_id, state=state)
        told.append((delivery_id, state))
        if then_another_frame:
            made.write(0, amqp.End())
            told.append("end")
    seen: list[object] = []
    for performative in taken(made):
        if isinstance(performative, amqp.Disposition):
            last = performative.first if performative.last is None else performative.last
            seen += [(delivery_id, performative.state) for delivery_id in range(performative.first, last + 1)]
        else:
            seen.append("end")
    assert _by_block(seen) == _by_block(told)


def _by_block(entries: list[object]) -> list[set[object]]:
    blocks: list[set[object]] = [set()]
    for entry in entries:
        if entry == "end":
            blocks.append(set())
        else:
            blocks[-1].add(entry)
    return blocks


class Debtor:
    def __init__(self) -> None:
        self.frame: bytes | None = None

    def flow_frame(self) -> bytes | None:
        return self.frame


def test_a_debt_is_paid_once_and_when_it_can_be() -> None:
    made, debtor = output(), Debtor()
    made.owe(debtor)
    made.owe(debtor)
    assert made.take() == b""
    debtor.frame = b"flow"
    assert made.take() == b"flow"
    assert made.take() == b""
    made.owe(debtor)
    made.forget(debtor)
    assert made.take() == b""


def test_open_comes_first() -> None:
    made, debtor = Output(too_large), Debtor()
    debtor.frame = b"flow"
    made.append(b"begin")
    made.owe(debtor)
    assert made.take() == b""
    made.raw(b"header")
    assert made.take() == b"header"
    assert not made.is_open
    made.open(b"open")
    assert made.is_open
    assert made.take() == b"openbeginflow"


def test_nothing_follows_the_end() -> None:
    made, debtor = output(), Debtor()
    debtor.frame = b"flow"
    made.owe(debtor)
    settle(made, 0)
    made.append(b"close")
    made.end()
    made.owe(debtor)
    made.append(b"late")
    settle(made, 1)
    data = made.take()
    assert data.endswith(b"close")
    assert len(amqp.FrameDecoder(1 << 20).feed(data.removesuffix(b"close"))) == 1
    assert made.take() == b""


def test_what_the_peer_does_not_take_is_dropped_and_told() -> None:
    told: list[str] = []
    made = Output(lambda: told.append("too large"))
    made.open(b"")
    made.max_frame_size = 40
    made.write(0, amqp.End(amqp.AmqpError("x" * 40)))
    assert told == ["too large"]
    settle(made, 0, state=amqp.Rejected(amqp.AmqpError("x" * 40)))
    assert made.take() == b""
    assert told == ["too large"] * 2


def test_answers_are_counted_until_they_are_taken() -> None:
    made = output()
    made.write(0, amqp.End())
    size = made.answers
    assert size == len(amqp.encode_frame(0, amqp.End()))
    settle(made, 0)
    made.append(b"message")
    assert made.answers > size
    made.take()
    assert made.answers == 0
