"""The words of the cases and of the SDKs: there are no others, each is used, and README.md explains each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ._data import load_cases, load_legs
from ._model import DEVICE, Case, Sdk
from ._words import CREDENTIALS, ERRORS, NEEDS, VERBS

README = (Path(__file__).parent / "README.md").read_text("utf-8")
CASES = load_cases()
LEGS = load_legs()
STEPS = [step for case in CASES for step in case.steps]
CASE: dict[str, Any] = {
    "id": "made-up",
    "says": "It is made up.",
    "source": "this test",
    "certifies": ["device"],
    "steps": [{"by": "device", "do": "connect"}],
}
SDK: dict[str, Any] = {"sdk": "s", "short": "s", "role": "device", "transports": ["AMQP"], "driver": "d"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("steps", [{"by": "device", "do": "fly"}], "device does not 'fly'"),
        ("steps", [{"by": "device", "do": "receive"}], r"'receive' needs \['expect'\]"),
        ("steps", [{"by": "device", "do": "connect", "count": 1}], r"'connect' knows no \['count'\]"),
        ("steps", [{"by": "device", "do": "connect", "color": 1}], "Extra inputs"),
        ("steps", [{"by": "device", "do": "connect", "with": "owner"}], "a device does not connect with 'owner'"),
        ("steps", [{"by": "device", "do": "refused", "error": "bad_luck"}], "there is no error 'bad_luck'"),
        ("steps", [{"by": "device", "do": "connect", "device": "other"}], r"there is no device \['other'\]"),
        ("steps", [{"by": "service", "do": "connect"}], r"\['device'\] does nothing in it"),
        ("steps", [*CASE["steps"], {"by": "service", "do": "refused", "error": "not_found"}], "only the side under"),
        ("steps", [{"by": "device", "do": "complete", "of": "m-1"}], r"nothing is received as \['m-1'\]"),
        ("needs", ["wings"], r"nothing called \['wings'\] to need"),
        ("id", "Made Up", "String should match"),
        ("source", "", "at least 5 characters"),
    ],
)
def test_a_case_with_an_unknown_word_is_refused(field: str, value: object, reason: str) -> None:
    Case.model_validate(CASE)
    with pytest.raises(ValidationError, match=reason):
        Case.model_validate({**CASE, field: value})


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("lacks", {"wings": "it has none"}, r"nothing called \['wings'\] to lack"),
        ("lacks", {"hold": ""}, "at least 5 characters"),
        ("refuses", {"abandon": "bad_luck"}, r"there is no error \['bad_luck'\]"),
        ("errors", {"bad_luck": ["E"]}, r"there is no error \['bad_luck'\]"),
        ("role", "gateway", "Input should be 'device', 'service' or 'registry'"),
    ],
)
def test_an_sdk_with_an_unknown_word_is_refused(field: str, value: object, reason: str) -> None:
    Sdk.model_validate(SDK)
    with pytest.raises(ValidationError, match=reason):
        Sdk.model_validate({**SDK, field: value})


def test_there_are_many_cases_and_a_leg_for_every_sdk_and_transport() -> None:
    assert len(CASES) >= 40
    assert len({leg.name for leg in LEGS}) == len(LEGS)


def test_every_word_is_used() -> None:
    assert {(step.by, step.do) for step in STEPS} == set(VERBS)
    assert {need for case in CASES for need in case.needs} == set(NEEDS)
    assert {word for leg in LEGS for word in (*leg.about.lacks, *leg.about.refuses)} == set(NEEDS)
    told = {step.error for step in STEPS} | {word for leg in LEGS for word in leg.about.refuses.values()}
    assert told - {None} == set(ERRORS)
    used = {(step.by, step.credential) for step in STEPS if step.by != "hub"}
    assert {("service", kind) for kind in CREDENTIALS["service"]} <= used
    assert {("device", kind) for kind in CREDENTIALS["device"]} <= used


def test_the_readme_explains_every_word() -> None:
    words = [do for _, do in VERBS] + [*ERRORS] + [kind for kinds in CREDENTIALS.values() for kind in kinds]
    assert [word for word in words if f"`{word}`" not in README] == []


def test_every_sdk_has_a_name_for_each_error_that_its_cases_expect() -> None:
    for leg in LEGS:
        mine = [case for case in CASES if leg.role in case.certifies and not set(case.needs) & set(leg.about.lacks)]
        expected = {step.error for case in mine for step in case.steps} | set(leg.about.refuses.values())
        assert expected - {None} <= set(leg.about.errors), leg.name


def test_the_first_device_of_a_case_is_the_one_that_steps_mean() -> None:
    assert [case.id for case in CASES if DEVICE not in case.devices] == []
