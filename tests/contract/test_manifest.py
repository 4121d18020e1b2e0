"""The manifest, the tests and the legs fit each other."""

from __future__ import annotations

import pytest

from c2dkit.testing.contract import REQUIREMENTS, Reason, device, requirement, service, story, untested

from .legs import DEVICE_LEGS, SERVICE_LEGS


def test_every_requirement_has_a_test() -> None:
    assert device.__all__
    assert service.__all__
    assert story.__all__
    assert untested() == []


def test_a_mark_of_an_unknown_requirement_is_refused() -> None:
    with pytest.raises(LookupError, match="no requirement receive:nothing"):
        requirement("receive:body", "receive:nothing")


def test_every_requirement_is_a_sentence_with_a_source() -> None:
    for name, each in REQUIREMENTS.items():
        assert each.sentence.endswith("."), name
        assert each.source, name


def test_every_reason_excludes_something_and_is_true_of_a_leg() -> None:
    excluding = {reason for each in REQUIREMENTS.values() for reason in each.excluded}
    told = {reason for leg in (*DEVICE_LEGS, *SERVICE_LEGS) for reason in leg.lacks}
    assert excluding == set(Reason)
    assert excluding - told == {Reason.NO_FEEDBACK, Reason.NO_QUEUE}  # for adapters of others


def test_no_requirement_is_excluded_everywhere() -> None:
    for name, each in REQUIREMENTS.items():
        assert any(each.excluded.isdisjoint(leg.lacks) for leg in (*DEVICE_LEGS, *SERVICE_LEGS)), name
