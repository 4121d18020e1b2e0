from __future__ import annotations

import json

import pytest

from c2dkit import _errors
from c2dkit._errors import C2dError, DeviceQueueFullError, ServiceError, ThrottledError
from c2dkit._protocols.amqp import AmqpError, Symbol
from c2dkit._wire.amqp_errors import CONDITIONS, amqp_from_error, error_from_amqp


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_becomes_its_error(condition: str) -> None:
    row = CONDITIONS[condition]
    error = error_from_amqp(AmqpError(condition, "the hub's text"), doing="sending")
    assert type(error) is row.error
    assert (error.hub_code, error.transient) == (row.hub_code or row.error.default_hub_code, row.transient)
    assert "sending: the hub's text" in str(error)
    assert condition in str(error)


@pytest.mark.parametrize(
    "error_type", [t for t in vars(_errors).values() if isinstance(t, type) and issubclass(t, ServiceError)]
)
def test_every_refusal_of_the_hub_has_a_condition_and_comes_back(error_type: type[ServiceError]) -> None:
    error = error_type("no")
    back = error_from_amqp(amqp_from_error(error), doing="x")
    assert type(back) is error_type
    if error_type is not ServiceError:
        assert back.hub_code == error.hub_code


def test_an_unknown_condition_and_none() -> None:
    assert type(error_from_amqp(AmqpError("com.example:odd"), doing="x")) is ServiceError
    assert type(error_from_amqp(None, doing="x")) is ServiceError


def test_the_hubs_json_description_is_read() -> None:
    text = json.dumps({"errorCode": 404006, "trackingId": "abc-G:0", "message": "no such address"})
    error = error_from_amqp(AmqpError("amqp:not-found", text), doing="attaching")
    assert (error.hub_code, error.tracking_id) == (404006, "abc-G:0")
    assert "no such address" in str(error)
    assert "{" not in str(error)


@pytest.mark.parametrize("text", ["{", "{}", "[" * 100_000, '{"errorCode": "x"}', "{" + '"a":{' * 100_000])
def test_a_broken_description_does_no_harm(text: str) -> None:
    error = error_from_amqp(AmqpError("amqp:not-found", text), doing="x")
    assert error.hub_code == 404001


def test_the_tracking_id_is_found_where_the_hub_puts_it() -> None:
    info: dict[str, object] = {Symbol("com.microsoft:tracking-id"): "t-1"}
    assert error_from_amqp(AmqpError("amqp:not-found", "x", info), doing="x").tracking_id == "t-1"
    text = "Total failed. Tracking ID:0123456789abcdef-G:1-TimeStamp:10/18/2022"
    assert (
        error_from_amqp(AmqpError("amqp:not-found", text), doing="x").tracking_id == "0123456789abcdef-G:1-TimeStamp:10"
    )


def test_the_hubs_own_data_goes_out() -> None:
    full = amqp_from_error(DeviceQueueFullError("full", tracking_id="t-2"))
    assert full == AmqpError("amqp:resource-limit-exceeded", "full", {"com.microsoft:tracking-id": "t-2"})
    assert amqp_from_error(ThrottledError("slow")).condition == "com.microsoft:device-container-throttled"
    assert amqp_from_error(C2dError("odd")).condition == "amqp:internal-error"
