from __future__ import annotations

import re
from datetime import timedelta

import pytest

from c2dkit import _errors
from c2dkit._errors import (
    AlreadySettledError,
    C2dError,
    DeviceQueueFullError,
    InvalidInputError,
    InvalidMessageError,
    PayloadError,
    UnsupportedSettlementError,
)
from c2dkit._rules.settlement import Settlement

_BRANCH = re.compile(r"^(?P<indent>[│ ├└─]*)(?P<name>\w+Error)\b(?P<rest>.*)$")


def classes() -> dict[str, type[C2dError]]:
    found = {name: value for name, value in vars(_errors).items() if isinstance(value, type)}
    return {name: value for name, value in found.items() if issubclass(value, C2dError)}


def tree_of_the_docstring() -> dict[str, str | None]:
    """Return each class of the drawn tree and the class that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (_errors.__doc__ or "").splitlines():
        match = _BRANCH.match(line)
        if match is not None:
            depth = len(match["indent"]) // 4
            del path[depth:]
            parents[match["name"]] = path[-1] if path else None
            path.append(match["name"])
    return parents


def marked_as_value_errors() -> set[str]:
    return set(re.findall(r"(\w+Error) \(also ValueError\)", _errors.__doc__ or ""))


def simple(error: type[C2dError]) -> bool:
    return error.__init__ is C2dError.__init__


def test_every_class_is_exported_and_sorted() -> None:
    assert list(_errors.__all__) == sorted(classes())


def test_the_docstring_draws_the_real_tree() -> None:
    real = {name: error.__mro__[1].__name__ for name, error in classes().items()}
    real["C2dError"] = None  # type: ignore[assignment] # pyright: ignore[reportArgumentType]
    assert tree_of_the_docstring() == real


def test_the_docstring_says_which_are_value_errors() -> None:
    assert {name for name, error in classes().items() if ValueError in error.__bases__} == marked_as_value_errors()


@pytest.mark.parametrize("name", [name for name, error in classes().items() if simple(error)])
def test_the_numbers_are_data(name: str) -> None:
    error = classes()[name]("why", hub_code=1, transient=True, retry_after=timedelta(seconds=2), tracking_id="t")
    assert (str(error), error.hub_code, error.transient) == ("why", 1, True)
    assert (error.retry_after, error.tracking_id) == (timedelta(seconds=2), "t")
    assert classes()[name]("why", transient=False).transient is False


TRANSIENT = {"OutcomeUnknownError", "LinkError", "ConnectError", "ConnectionLostError", "ThrottledError"}
HUB_CODES = {
    "MessageLockLostError": 412002,
    "UnauthorizedError": 401003,
    "QuotaExceededError": 403002,
    "DeviceQueueFullError": 403004,
    "DeviceNotFoundError": 404001,
    "MessageTooLargeError": 413001,
    "ThrottledError": 429001,
}


def test_which_errors_may_pass_by_themselves() -> None:
    assert {name for name, error in classes().items() if simple(error) and error("why").transient} == TRANSIENT


def test_the_hub_codes_that_stand_for_a_class() -> None:
    codes = {name: error("why").hub_code for name, error in classes().items() if simple(error)}
    assert {name: code for name, code in codes.items() if code is not None} == HUB_CODES


def test_no_retry_or_tracking_is_made_up() -> None:
    error = C2dError("why")
    assert (error.hub_code, error.transient, error.retry_after, error.tracking_id) == (None, False, None, None)


def test_a_refused_message_names_field_limit_and_value() -> None:
    error = InvalidMessageError("too long", field="message_id", limit=128, actual=129)
    assert isinstance(error, InvalidInputError)
    assert isinstance(error, ValueError)
    assert (str(error), error.field, error.limit, error.actual) == ("too long", "message_id", 128, 129)
    assert not error.transient


def test_a_payload_error_carries_the_body() -> None:
    error = PayloadError("not JSON", body=b"{", content_type="application/json", content_encoding="utf-8")
    assert isinstance(error, ValueError)
    assert (error.body, error.content_type, error.content_encoding) == (b"{", "application/json", "utf-8")
    assert (PayloadError("x", body=b"").content_type, PayloadError("x", body=b"").content_encoding) == (None, None)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("no number", 50),
        ("the hub refused the message: the messages queued exceed the queue limit of 75 (amqp:...)", 75),
    ],
)
def test_a_full_queue_says_how_many_it_holds(text: str, depth: int) -> None:
    assert DeviceQueueFullError(text).depth == depth


def test_an_unsupported_settlement_says_what_is_supported() -> None:
    error = UnsupportedSettlementError(
        Settlement.REJECT, transport="mqtt", supported=frozenset({Settlement.COMPLETE, Settlement.ABANDON})
    )
    assert str(error).startswith("mqtt cannot reject a message; it can abandon, complete.")
    assert (error.settlement, error.transport) == (Settlement.REJECT, "mqtt")
    assert error.supported == {Settlement.COMPLETE, Settlement.ABANDON}
    nothing = UnsupportedSettlementError(Settlement.COMPLETE, transport="mine", supported=frozenset())
    assert "it can nothing" in str(nothing)


def test_a_second_settlement_names_the_first() -> None:
    error = AlreadySettledError(Settlement.ABANDON)
    assert error.first is Settlement.ABANDON
    assert "abandon came first" in str(error)
