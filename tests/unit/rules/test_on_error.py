from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit import InvalidInputError, OnError, Settlement
from c2dkit._rules.on_error import parse_on_error, verdicts

ALL = frozenset(Settlement)
COMPLETE = frozenset({Settlement.COMPLETE})


@pytest.mark.parametrize(
    ("on_error", "everywhere", "where_only_complete"),
    [
        (OnError.REDELIVER, Settlement.ABANDON, None),
        (OnError.ABANDON, Settlement.ABANDON, Settlement.ABANDON),
        (OnError.REJECT, Settlement.REJECT, Settlement.REJECT),
        (OnError.HOLD, None, None),
        (OnError.DEAD_LETTER, Settlement.REJECT, Settlement.COMPLETE),
    ],
)
def test_failed(on_error: OnError, everywhere: Settlement | None, where_only_complete: Settlement | None) -> None:
    assert verdicts(on_error, ALL, dead_letters=True).failed is everywhere
    assert verdicts(on_error, COMPLETE, dead_letters=True).failed is where_only_complete


@given(st.sampled_from(OnError), st.frozensets(st.sampled_from(Settlement)), st.booleans())
def test_what_is_not_asked_for_can_be_said(
    on_error: OnError, supported: frozenset[Settlement], dead_letters: bool
) -> None:
    said = verdicts(on_error, supported | {Settlement.COMPLETE}, dead_letters=dead_letters)
    assert said.late in {Settlement.ABANDON, None} & {*supported, None}
    if dead_letters:
        assert said.unreadable in {Settlement.REJECT, Settlement.COMPLETE} & {*supported, Settlement.COMPLETE}
    else:
        assert said.unreadable is said.failed
        assert said.failed is not Settlement.COMPLETE or on_error is OnError.DEAD_LETTER


def test_words() -> None:
    assert [parse_on_error(each.value, dead_letters=True) for each in OnError] == list(OnError)
    with pytest.raises(InvalidInputError, match="one of redeliver, abandon, reject, hold, dead-letter, not 'ignore'"):
        parse_on_error("ignore", dead_letters=True)
    with pytest.raises(InvalidInputError, match="needs dead_letters"):
        parse_on_error("dead-letter", dead_letters=False)
