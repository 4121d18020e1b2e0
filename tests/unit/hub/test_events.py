"""What a change of the state looks like from outside, the words for it, and the way to a reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit._models import Ack, FeedbackStatus, Message
from c2dkit.hub import (
    ConnectionEvent,
    DeviceEvent,
    EventsMissed,
    FeedbackBatchEvent,
    FeedbackEvent,
    HubOptions,
    MessageEvent,
)
from c2dkit.hub import _event_feed as feeds
from c2dkit.hub._event_feed import EventFeed
from c2dkit.hub._event_text import describe, visible
from c2dkit.hub._events import NAMES, HubEvent
from c2dkit.hub._guests import Guests
from c2dkit.hub._peer import Peer
from c2dkit.hub._state import HubState

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

START = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = "/devices/dev-1/messages/devicebound"


class Holder:
    protocol = "AMQP"


class Hub:
    """A state under a clock of its own, and what it has told."""

    def __init__(self, options: HubOptions | None = None) -> None:
        self.time = START
        self.feed = EventFeed(lambda: self.time)
        self.state = HubState(options or HubOptions(feedback_interval=timedelta(0)), lambda: self.time)
        self.state.subscribe(self.feed.changed)
        self.state.add_device("dev-1")
        self.holder = Holder()

    def send(self, message_id: str | None = "m-1", ack: Ack | None = None) -> None:
        self.state.send(Message(b"four", message_id=message_id, to=ADDRESS, ack=ack, properties={"a": "secret"}))

    def lock(self) -> Callable[[Callable[..., None]], None]:
        locked = self.state.receive("dev-1", holder=self.holder)
        assert locked is not None
        return lambda settle: settle("dev-1", locked.lock_token)

    def lock_feedback(self) -> UUID:
        locked = self.state.receive_feedback(self.holder)
        assert locked is not None
        return locked.lock_token

    def pass_time(self, delta: timedelta) -> None:
        self.time += delta
        self.state.tick()

    def told(self) -> list[str]:
        return [getattr(event, "what", NAMES[type(event)]) for event in self.feed.recent]


def test_the_whole_life_of_a_message() -> None:
    hub = Hub()
    hub.send(ack=Ack.FULL)
    hub.lock()(hub.state.abandon)
    hub.lock()(hub.state.complete)
    end = START + timedelta(hours=1)
    fixed = ("dev-1", "m-1", 1, 4, Ack.FULL, end)
    assert list(hub.feed.recent) == [
        DeviceEvent(START, "added", "dev-1", True),
        MessageEvent(START, "queued", *fixed, 0, None, None),
        MessageEvent(START, "locked", *fixed, 0, "AMQP", START + timedelta(seconds=60)),
        MessageEvent(START, "abandoned", *fixed, 1, None, None),
        MessageEvent(START, "locked", *fixed, 1, "AMQP", START + timedelta(seconds=60)),
        MessageEvent(START, "completed", *fixed, 1, None, None),
        FeedbackEvent(START, "dev-1", "m-1", FeedbackStatus.SUCCESS),
        FeedbackBatchEvent(START, "queued", 1, 1, 0),
    ]
    assert "secret" not in repr(hub.feed.recent)


def reject(hub: Hub) -> None:
    hub.lock()(hub.state.reject)


def lose_the_lock(hub: Hub) -> None:
    hub.lock()
    hub.pass_time(timedelta(seconds=60))


def lose_the_holder(hub: Hub) -> None:
    hub.lock()
    hub.state.release_holder(hub.holder)


def outlast(hub: Hub) -> None:
    hub.pass_time(timedelta(hours=1))


def purge(hub: Hub) -> None:
    hub.state.purge("dev-1")


def abandon_too_often(hub: Hub) -> None:
    for _ in range(10):
        hub.lock()(hub.state.abandon)


@pytest.mark.parametrize(
    ("happening", "what"),
    [
        (reject, "rejected"),
        (lose_the_lock, "lock_expired"),
        (lose_the_holder, "released"),
        (abandon_too_often, "delivery_count_exceeded"),
        (outlast, "expired"),
        (purge, "purged"),
    ],
)
def test_every_other_step_of_a_message(happening: Callable[[Hub], None], what: str) -> None:
    hub = Hub()
    hub.send()
    happening(hub)
    assert hub.told()[-1] == what


def test_every_step_of_a_batch() -> None:
    hub = Hub(HubOptions(feedback_interval=timedelta(0), feedback_max_delivery_count=2))
    hub.send(ack=Ack.POSITIVE)
    hub.lock()(hub.state.complete)
    told = len(hub.feed.recent)
    hub.state.abandon_feedback(hub.lock_feedback())
    hub.lock_feedback()
    hub.state.release_holder(hub.holder)
    hub.state.abandon_feedback(hub.lock_feedback())
    assert hub.told()[told:] == ["locked", "abandoned", "locked", "released", "locked", "delivery_count_exceeded"]
    assert {type(event) for event in list(hub.feed.recent)[told:]} == {FeedbackBatchEvent}


def test_devices_change_and_go() -> None:
    hub = Hub()
    hub.state.set_enabled("dev-1", enabled=False)
    hub.state.remove_device("dev-1")
    hub.state.add_device("dev-1")
    assert [event[1:] for event in hub.feed.recent] == [
        ("added", "dev-1", True),
        ("changed", "dev-1", False),
        ("removed", "dev-1", None),
        ("added", "dev-1", True),
    ]


def test_ids_are_cut() -> None:
    hub = Hub()
    hub.send(message_id="x" * 1000, ack=Ack.FULL)
    hub.lock()(hub.state.complete)
    ids = {event.message_id for event in hub.feed.recent if isinstance(event, MessageEvent | FeedbackEvent)}
    assert ids == {"x" * 128}


def test_a_connection_tells_of_each_client_once_and_of_its_end() -> None:
    feed = EventFeed(lambda: START)
    guests = Guests(feed, Peer("AMQP", websocket=True, address="127.0.0.1:1"))
    for client in ("dev-1", "service", "dev-1"):
        guests.signed_in(client)
    guests.refused("x" * 1000)
    guests.over("the end")
    guests.over("again")
    way = ("AMQP", True, "127.0.0.1:1")
    assert list(feed.recent) == [
        ConnectionEvent(START, "connected", *way, "dev-1", None),
        ConnectionEvent(START, "connected", *way, "service", None),
        ConnectionEvent(START, "refused", *way, None, "x" * 200),
        ConnectionEvent(START, "disconnected", *way, "dev-1", "the end"),
        ConnectionEvent(START, "disconnected", *way, "service", "the end"),
    ]


def message(what: str, message_id: str | None = "m-1", **changes: object) -> HubEvent:
    values = {
        "at": START,
        "what": what,
        "device_id": "dev-1",
        "message_id": message_id,
        "sequence_number": 7,
        "body_bytes": 1,
        "ack": Ack.FULL,
        "expires_at": START + timedelta(hours=2, seconds=5),
        "delivery_count": 1,
        "protocol": None,
        "locked_until": None,
        **changes,
    }
    return MessageEvent(**values)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (message("queued"), "dev-1|queued|#7 'm-1', 1 byte, ack full, expires in 2 h 5 s"),
        (
            message("queued", body_bytes=2048, expires_at=START),
            "dev-1|queued|#7 'm-1', 2,048 bytes, ack full, expires in 0 s",
        ),
        (
            message("locked", protocol="AMQP", locked_until=START + timedelta(seconds=60)),
            "dev-1|locked|#7 'm-1' over AMQP, for 1 min, delivery count 1",
        ),
        (message("locked", protocol="MQTT"), "dev-1|locked|#7 'm-1' over MQTT, as long as connected, delivery count 1"),
        (message("lock_expired", None), "dev-1|lock expired|#7 without an id, delivery count 1"),
        (message("purged", "\x1b[2J\u202e\n"), "dev-1|purged|#7 '\\x1b[2J\\u202e\\n'"),
        (FeedbackEvent(START, "dev-1", "m-1", FeedbackStatus.EXPIRED), "dev-1|feedback|'m-1' Expired"),
        (FeedbackBatchEvent(START, "locked", 3, 2, 0), "feedback|locked|batch #3, 2 records"),
        (
            ConnectionEvent(START, "refused", "MQTT", True, "[::1]:9", None, "no\x07"),
            "stranger|refused|MQTT through a WebSocket from [::1]:9: no\\x07",
        ),
        (ConnectionEvent(START, "connected", "AMQP", False, "a:1", "service", None), "service|connected|AMQP from a:1"),
        (DeviceEvent(START, "changed", "dev-1", False), "dev-1|changed|disabled"),
        (DeviceEvent(START, "removed", "dev-1", None), "dev-1|removed|"),
        (EventsMissed(START, 1200), "hub|missed|1,200 events came too fast to be shown"),
    ],
)
def test_events_in_words(event: HubEvent, words: str) -> None:
    assert "|".join(describe(event)) == words


def test_what_can_be_printed_stays() -> None:
    assert visible("Übung 7 <b>") == "Übung 7 <b>"


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "UNREAD_EVENTS", 2)
    feed = EventFeed(lambda: START)
    with feed.stream() as events:
        for second in range(5):
            feed.tell(DeviceEvent(START + timedelta(seconds=second), "added", f"dev-{second}", True))
        feed.end_streams()
        read = [event async for event in events]
    assert read == [
        EventsMissed(START + timedelta(seconds=2), 3),
        DeviceEvent(START + timedelta(seconds=3), "added", "dev-3", True),
        DeviceEvent(START + timedelta(seconds=4), "added", "dev-4", True),
    ]


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    feed = EventFeed(lambda: START)
    with feed.stream() as events:
        with anyio.move_on_after(0):
            await anext(events)
        feed.tell(DeviceEvent(START, "added", "dev-1", True))
        with anyio.fail_after(20):
            assert await anext(events) == feed.recent[0]


def test_nothing_is_kept_for_a_reader_who_has_left() -> None:
    feed = EventFeed(lambda: START)
    with feed.stream() as events:
        pass
    feed.tell(DeviceEvent(START, "added", "dev-1", True))
    assert not events._unread
