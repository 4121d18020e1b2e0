"""Events in words, for the console and the status page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from c2dkit.hub._events import (
    ConnectionEvent,
    DeviceEvent,
    EventsMissed,
    FeedbackBatchEvent,
    FeedbackEvent,
    MessageEvent,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from c2dkit.hub._events import HubEvent

__all__ = ["EventText", "describe", "visible"]


class EventText(NamedTuple):
    """Who does or suffers what, and what else there is to say of it; nothing in it moves a cursor."""

    who: str
    what: str
    detail: str


def describe(event: HubEvent) -> EventText:
    """Put an event into words."""
    match event:
        case MessageEvent():
            return EventText(event.device_id, event.what.replace("_", " "), _message_detail(event))
        case FeedbackEvent():
            return EventText(event.device_id, "feedback", f"{_quoted(event.message_id)} {event.status}")
        case FeedbackBatchEvent():
            detail = f"batch #{event.sequence_number}, {_number(event.record_count, 'record')}"
            return EventText("feedback", event.what.replace("_", " "), detail)
        case ConnectionEvent():
            way = f"{event.protocol}{' through a WebSocket' if event.websocket else ''} from {event.peer}"
            reason = "" if event.reason is None else f": {visible(event.reason)}"
            return EventText("stranger" if event.client is None else visible(event.client), event.what, way + reason)
        case DeviceEvent():
            return EventText(event.device_id, event.what, "disabled" if event.enabled is False else "")
        case EventsMissed():
            return EventText("hub", "missed", f"{_number(event.event_count, 'event')} came too fast to be shown")


def visible(text: str) -> str:
    """Return a text with escapes in place of what is not to be printed: control characters, changes of direction."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _message_detail(event: MessageEvent) -> str:
    name = f"#{event.sequence_number} {_quoted(event.message_id)}"
    match event.what:
        case "queued":
            size = _number(event.body_bytes, "byte")
            return f"{name}, {size}, ack {event.ack}, expires in {_duration(event.expires_at - event.at)}"
        case "locked":
            until = event.locked_until
            lock = "as long as connected" if until is None else f"for {_duration(until - event.at)}"
            return f"{name} over {event.protocol}, {lock}, delivery count {event.delivery_count}"
        case "abandoned" | "lock_expired" | "released":
            return f"{name}, delivery count {event.delivery_count}"
        case _:
            return name


def _quoted(message_id: str | None) -> str:
    return "without an id" if message_id is None else f"'{visible(message_id)}'"


def _number(number: int, of_what: str) -> str:
    return f"{number:,} {of_what}{'' if number == 1 else 's'}"


def _duration(duration: timedelta) -> str:
    """Return a duration as in ``45 s``, ``1 min 30 s``, ``48 h``."""
    seconds = max(0, round(duration.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    parts = [(hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
