from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._errors import InvalidInputError
from c2dkit.hub import Fault, FaultKind
from c2dkit.hub._fault_commands import OPERATIONS, fault_of
from c2dkit.hub._faults import FaultLink

TIMES = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1))


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(FaultKind))
    told = kind in {FaultKind.DETACH, FaultKind.END_SESSION, FaultKind.CLOSE}
    return Fault(
        kind,
        device=draw(st.none() | st.sampled_from(["dev-1", "a=b", "$x"])),
        after=draw(TIMES),
        duration=draw(st.none() | TIMES),
        times=draw(st.none() | st.integers(1, 1_000_000)),
        by=draw(TIMES) if kind is FaultKind.DELAY else None,
        link=draw(st.none() | st.sampled_from(get_args(FaultLink))) if kind is FaultKind.DETACH else None,
        condition=draw(st.none() | st.just("amqp:not-found")) if told else None,
    )


@given(faults())
def test_the_text_of_a_fault_reads_back(fault: Fault) -> None:
    assert Fault.parse(str(fault)) == fault


def test_a_text_says_what_is_not_the_default() -> None:
    assert Fault.parse("drop device=dev-1 after=5 times=3") == Fault(
        FaultKind.DROP, device="dev-1", after=timedelta(seconds=5), times=3
    )
    assert Fault.parse("delay by=0.5 for=90") == Fault(
        FaultKind.DELAY, by=timedelta(seconds=0.5), duration=timedelta(seconds=90)
    )
    assert (
        str(Fault(FaultKind.DETACH, link="events", after=timedelta(milliseconds=1))) == "detach after=0.001 link=events"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no fault; there are drop, reset"),
        ("explode", "'explode' is no fault"),
        ("drop device", "'device': write each of device, after, for"),
        ("drop when=5", "'when=5': write each of"),
        ("drop after=1 after=2", "'after=2': write each of"),
        ("drop after=soon", "'soon' is no number of seconds"),
        ("drop after=nan", "'nan' is no number of seconds"),
        ("drop after=1e999", "'1e999' is no number of seconds"),
        ("drop after=-1", "after is 0 to 86400 seconds"),
        ("drop for=86401", "duration is 0 to 86400 seconds"),
        ("drop times=0", "times is 1 to 1000000, not 0"),
        ("drop times=1.5", "times is 1 to 1000000, not '1.5'"),
        ("drop times=99999999999", "times is 1 to 1000000"),
        ("drop device=a/b", "device_id must be 1 to 128"),
        ("delay", "`delay` says how much later with `by`"),
        ("drop by=1", "`delay` says how much later with `by`"),
        ("drop link=events", "`link` goes with `detach`"),
        ("detach link=twin", "is one of devicebound, events"),
        ("drop condition=amqp:not-found", "`condition` goes with close, detach, end-session"),
        ("detach condition=", "`condition` is an AMQP error condition"),
        ("detach condition=\xe9", "`condition` is an AMQP error condition"),
        ("drop " + "x" * 1000, "at most 1000 characters"),
    ],
)
def test_a_bad_text_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Fault.parse(text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 250


def test_how_often_a_fault_happens() -> None:
    second = timedelta(seconds=1)
    assert Fault(FaultKind.DROP).limit == 1
    assert Fault(FaultKind.DROP, times=3).limit == 3
    assert Fault(FaultKind.THROTTLE, duration=second).limit is None
    assert Fault(FaultKind.THROTTLE, duration=second, times=2).limit == 2
    assert Fault(FaultKind.DELAY, by=second).limit is None


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("KillTcp", "drop device=d after=2 for=5 times=1"),
        ("KillAmqpConnection", "close device=d after=2 for=5 times=1 condition=amqp:internal-error"),
        ("KillAmqpSession", "end-session device=d after=2 for=5 times=1"),
        ("KillAmqpCBSLinkReq", "detach device=d after=2 for=5 times=1 link=cbs-requests"),
        ("KillAmqpCBSLinkResp", "detach device=d after=2 for=5 times=1 link=cbs-answers"),
        ("KillAmqpD2CLink", "detach device=d after=2 for=5 times=1 link=events"),
        ("KillAmqpC2DLink", "detach device=d after=2 for=5 times=1 link=devicebound"),
        ("KillAmqpTwinLinkReq", None),
        ("KillAmqpTwinLinkResp", None),
        ("KillAmqpMethodReqLink", None),
        ("KillAmqpMethodRespLink", None),
        ("InvokeThrottling", "throttle device=d after=2 for=20"),
        ("InvokeMaxMessageQuota", "quota device=d after=2 for=20"),
        ("InvokeAuthError", "reject-token device=d after=2 for=20"),
        ("ShutDownAmqp", "close device=d after=2 for=5 times=1"),
        ("ShutDownMqtt", "close device=d after=2 for=5 times=1"),
    ],
)
def test_the_commands_of_the_sdks(operation: str, text: str | None) -> None:
    properties = {
        "AzIoTHub_FaultOperationType": operation,
        "AzIoTHub_FaultOperationCloseReason": "boom",
        "AzIoTHub_FaultOperationDelayInSecs": 2,  # AMQP has numbers, MQTT and HTTPS texts
        "AzIoTHub_FaultOperationDurationInSecs": "20",
    }
    assert fault_of(properties, "d") == (None if text is None else Fault.parse(text))
    assert operation in OPERATIONS
    assert len(OPERATIONS) == 16


def test_a_refusal_lasts_as_long_as_the_sdks_have_it_by_default() -> None:
    fault = fault_of({"aziothub_faultoperationtype": "InvokeThrottling"}, "d")  # HTTP has names in lower case
    assert fault == Fault.parse("throttle device=d for=5")


def test_telemetry_is_no_command() -> None:
    assert fault_of({"colour": "red", "AzIoTHub_FaultOperationDelayInSecs": "1"}, "d") is None


@pytest.mark.parametrize("bad", [{"Type": "Explode"}, {"Type": "KillTcp", "DelayInSecs": "soon"}])
def test_a_command_that_cannot_be_read(bad: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        fault_of({f"AzIoTHub_FaultOperation{name}": value for name, value in bad.items()}, "d")
