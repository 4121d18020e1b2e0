from __future__ import annotations

from datetime import UTC, datetime, timedelta

from c2dkit.hub._agenda import Agenda

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Alarm:
    deadline: datetime | None = None

    def fire(self, now: datetime) -> None:
        raise AssertionError(now)


def test_an_empty_agenda_has_nothing_due() -> None:
    agenda = Agenda()

    assert agenda.next_deadline() is None
    assert agenda.pop_due(at(0)) is None


def test_the_earliest_comes_first_and_never_early() -> None:
    agenda, late, early = Agenda(), Alarm(), Alarm()
    agenda.set(late, at(2))
    agenda.set(early, at(1))

    assert agenda.next_deadline() == at(1)
    assert agenda.pop_due(at(0.999)) is None
    assert agenda.pop_due(at(1)) is early
    assert early.deadline is None
    assert agenda.pop_due(at(5)) is late
    assert agenda.pop_due(at(5)) is None


def test_a_moved_deadline_counts_only_where_it_is_now() -> None:
    agenda, alarm = Agenda(), Alarm()
    agenda.set(alarm, at(1))
    agenda.set(alarm, at(3))

    assert agenda.next_deadline() == at(3)
    assert agenda.pop_due(at(2)) is None
    assert agenda.pop_due(at(3)) is alarm
    assert agenda.pop_due(at(9)) is None


def test_a_dropped_deadline_never_comes() -> None:
    agenda, alarm = Agenda(), Alarm()
    agenda.set(alarm, at(1))
    agenda.set(alarm, None)

    assert agenda.next_deadline() is None


def test_equal_deadlines_come_in_the_order_they_were_set() -> None:
    agenda, alarms = Agenda(), [Alarm() for _ in range(5)]
    for alarm in alarms:
        agenda.set(alarm, at(1))

    assert [agenda.pop_due(at(1)) for _ in alarms] == alarms


def test_setting_the_same_deadline_twice_fires_once() -> None:
    agenda, alarm = Agenda(), Alarm()
    deadline = at(1)
    agenda.set(alarm, deadline)
    agenda.set(alarm, deadline)

    assert agenda.pop_due(at(1)) is alarm
    assert agenda.pop_due(at(1)) is None


def test_what_is_dropped_costs_no_memory() -> None:
    agenda, kept = Agenda(), [Alarm() for _ in range(100)]
    for alarm in kept:
        agenda.set(alarm, at(3600))
    for _ in range(10_000):
        alarm = Alarm()
        agenda.set(alarm, at(60))
        agenda.set(alarm, None)

    assert len(agenda) < 500
    assert [agenda.pop_due(at(3600)) for _ in kept] == kept


def test_a_deadline_that_is_given_back_costs_no_memory() -> None:
    agenda, early, alarm = Agenda(), Alarm(), Alarm()
    agenda.set(early, at(1))
    expiry = at(9)
    for _ in range(1000):
        agenda.set(alarm, expiry)
        agenda.set(alarm, None)
    agenda.set(alarm, expiry)

    assert len(agenda) <= 64
    assert agenda.pop_due(at(9)) is early
    assert agenda.pop_due(at(9)) is alarm
    assert agenda.pop_due(at(9)) is None
