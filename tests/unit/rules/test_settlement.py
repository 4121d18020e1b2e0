from __future__ import annotations

import asyncio
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._errors import ConnectError, MessageLockLostError, OutcomeUnknownError, ThrottledError
from c2dkit._rules.settlement import TRANSITIONS, Settlement, SettlementEvent, SettlementState, event_of, next_state

S = SettlementState
E = SettlementEvent

# Written out in full, so that a change of the table has to be made twice.
EXPECTED = {
    (S.HELD, E.ASKED): S.SETTLING,
    (S.HELD, E.CONFIRMED): S.HELD,
    (S.HELD, E.REFUSED): S.HELD,
    (S.HELD, E.LOCK_REFUSED): S.HELD,
    (S.HELD, E.LINK_LOST): S.LOCK_LOST,
    (S.HELD, E.CUT_OFF): S.HELD,
    (S.SETTLING, E.ASKED): S.SETTLING,
    (S.SETTLING, E.CONFIRMED): S.SETTLED,
    (S.SETTLING, E.REFUSED): S.HELD,
    (S.SETTLING, E.LOCK_REFUSED): S.LOCK_LOST,
    (S.SETTLING, E.LINK_LOST): S.UNKNOWN,
    (S.SETTLING, E.CUT_OFF): S.UNKNOWN,
} | {(state, event): state for state in (S.SETTLED, S.LOCK_LOST, S.UNKNOWN) for event in E}

events = st.lists(st.sampled_from(E), max_size=12)


def test_the_expectation_covers_every_pair() -> None:
    assert set(EXPECTED) == set(product(S, E))


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_pair_of_state_and_event(state: SettlementState, event: SettlementEvent) -> None:
    assert next_state(state, event) is EXPECTED[state, event]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (MessageLockLostError("gone"), E.LOCK_REFUSED),
        (OutcomeUnknownError("cut off"), E.CUT_OFF),
        (asyncio.CancelledError(), E.CUT_OFF),
        (RuntimeError("a bug"), E.CUT_OFF),
        (ThrottledError("slowly"), E.REFUSED),
        (ConnectError("no way"), E.REFUSED),
    ],
    ids=repr,
)
def test_what_an_error_says_of_a_settlement(error: BaseException, event: SettlementEvent) -> None:
    assert event_of(error) is event


def test_the_table_holds_only_changes() -> None:
    assert all(state is not following for (state, _), following in TRANSITIONS.items())


@pytest.mark.parametrize("state", [S.SETTLED, S.LOCK_LOST, S.UNKNOWN])
@given(events=events)
def test_an_end_is_never_left(state: SettlementState, events: list[SettlementEvent]) -> None:
    for event in events:
        state_after = next_state(state, event)
        assert state_after is state


@given(events=events)
def test_nothing_is_settled_that_was_not_asked_for(events: list[SettlementEvent]) -> None:
    state, asked = S.HELD, False
    for event in events:
        asked = asked or event is E.ASKED
        state = next_state(state, event)
        assert asked or state in {S.HELD, S.LOCK_LOST}


@given(events=events)
def test_a_message_is_held_again_only_if_nothing_was_done(events: list[SettlementEvent]) -> None:
    state = S.HELD
    for event in events:
        before, state = state, next_state(state, event)
        assert state is not S.HELD or before is S.HELD or event is E.REFUSED


def test_the_words_are_those_of_the_service() -> None:
    assert [settlement.value for settlement in Settlement] == ["complete", "abandon", "reject"]
