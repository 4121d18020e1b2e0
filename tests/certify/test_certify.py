"""The suite itself: the cases over c2dkit's own clients, that a case can fail, and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ._data import load_cases, load_legs
from ._model import Case, Leg
from ._runner import LegReport, Result, run_leg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CASES = load_cases()
REFERENCES = [leg for leg in load_legs() if leg.about.reference]
DEVICE = next(leg for leg in REFERENCES if (leg.role, leg.transport) == ("device", "AMQP"))

SERVICE_CONNECTS = {"by": "service", "do": "connect"}
SENDS = {"by": "service", "do": "send", "message": {"message_id": "m-1", "ack": "full"}}
DEVICE_CONNECTS = {"by": "device", "do": "connect"}
RECEIVES = {"by": "device", "do": "receive", "expect": {"message_id": "m-1"}}
ABANDONS = {"by": "device", "do": "abandon"}
COMPLETES = {"by": "device", "do": "complete"}


def case_of(*steps: Mapping[str, object], **more: object) -> Case:
    fields = {"id": "made-up", "says": "It is made up.", "source": "this test", "certifies": ["device"], **more}
    return Case.model_validate({**fields, "steps": [SERVICE_CONNECTS, SENDS, DEVICE_CONNECTS, *steps]})


def changed(leg: Leg, **fields: Any) -> Leg:
    return leg._replace(about=leg.about.model_copy(update=fields))


async def result_of(case: Case, leg: Leg = DEVICE) -> Result:
    report = LegReport(leg)
    await run_leg(report, [case], address=None, step_seconds=3)
    return report.results[case.id]


@pytest.mark.parametrize("leg", REFERENCES, ids=lambda leg: leg.name)
async def test_every_case_over_a_client_of_c2dkit(leg: Leg) -> None:
    report = LegReport(leg)
    await run_leg(report, CASES, address=None)
    assert {case_id: result.reason for case_id, result in report.results.items() if result.status == "fail"} == {}
    assert set(report.results) == {case.id for case in CASES if leg.role in case.certifies}
    assert set(report.versions) == {"c2dkit"}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([{**RECEIVES, "expect": {"message_id": "m-2"}}], "step 4, device receive: message_id is 'm-1', not 'm-2'"),
        ([{**RECEIVES, "expect": {"correlation_id": "*"}}], "correlation_id is None, not '*'"),
        ([{**RECEIVES, "expect": {"text": "y"}}], "body is 'eA==', not 'eQ=='"),
        ([{**RECEIVES, "expect": {"expires_in": 60}}], "expires_at is None, not"),
        ([RECEIVES, {**COMPLETES, "error": "lock_lost"}], "{'ok': None}, where the SDK's word for lock_lost is Mess"),
        ([{"by": "hub", "do": "holds", "expect": 2}], "step 4, hub holds: it holds 1 messages, not 2"),
        ([RECEIVES, ABANDONS, COMPLETES], "step 6, device complete: AlreadySettledError"),
        ([RECEIVES, COMPLETES, {"by": "service", "do": "feedback", "expect": {"status": "Expired"}}], "'Success', not"),
        ([{"by": "device", "do": "refused", "error": "unauthorized"}], "where the SDK's word for unauthorized is Unau"),
        ([{"by": "device", "do": "receive_all", "count": 2}], "nothing happened within 3 s"),
    ],
)
async def test_a_case_fails_when_something_else_happens(steps: Sequence[Mapping[str, object]], reason: str) -> None:
    result = await result_of(case_of(*steps))
    assert (result.status, reason in result.reason) == ("fail", True), result


async def test_a_refusal_that_does_not_come_is_a_failure() -> None:
    case, leg = case_of(RECEIVES, ABANDONS, needs=["abandon"]), changed(DEVICE, refuses={"abandon": "unsupported"})
    assert await result_of(case) == Result("pass")
    result = await result_of(case, leg)
    assert (result.status, "{'ok': None}, where the SDK's word for unsupported" in result.reason) == ("fail", True)


async def test_a_refusal_ends_the_case_and_names_the_error() -> None:
    mqtt = next(leg for leg in REFERENCES if leg.transport == "MQTT")
    result = await result_of(case_of(RECEIVES, ABANDONS, RECEIVES, needs=["abandon"]), mqtt)
    assert result == Result("refused", "UnsupportedSettlementError")


async def test_a_field_that_is_said_to_be_hidden_and_is_not_is_a_failure() -> None:
    result = await result_of(case_of(RECEIVES), changed(DEVICE, hides=("message_id",)))
    assert "message_id is 'm-1', and the leg says that this SDK hides it" in result.reason


async def test_what_a_leg_lacks_is_the_reason_why_a_case_does_not_apply() -> None:
    leg = changed(DEVICE, lacks={"hold": "it is said to"}, driver="no_such_driver")
    assert await result_of(case_of(RECEIVES, needs=["hold"]), leg) == Result("not applicable", "it is said to")


async def test_a_driver_that_ends_is_a_failure_that_shows_what_it_said() -> None:
    result = await result_of(case_of(RECEIVES), changed(DEVICE, driver="no_such_driver"))
    assert result.status == "fail"
    assert "the driver has ended" in result.reason
    assert "No module named tests.certify.drivers.no_such_driver" in result.reason


async def test_a_failure_does_not_spoil_the_next_case() -> None:
    report = LegReport(DEVICE)
    wrong = case_of({**RECEIVES, "expect": {"message_id": "m-2"}})
    await run_leg(report, [wrong, case_of(RECEIVES, COMPLETES, id="next")], address=None)
    assert [result.status for result in report.results.values()] == ["fail", "pass"]
