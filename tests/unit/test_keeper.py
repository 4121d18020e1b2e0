"""The keeper with links that do nothing but end when they are told to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from c2dkit import (
    C2dError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    ConnectionState,
    RetryPolicy,
    UnauthorizedError,
)
from c2dkit._keeper import Keeper
from c2dkit.transports import Ending

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LOST = ConnectionLostError("gone")
REFUSED = UnauthorizedError("no")
SOON = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(0))


class Link:
    def __init__(self) -> None:
        self.ending = Ending()
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1
        self.ending.come(ClosedError("closed"))


class Hub:
    """Opens links, or fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.links: list[Link] = []

    async def open(self) -> Link:
        await anyio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        self.links.append(Link())
        return self.links[-1]


@asynccontextmanager
async def keeping(hub: Hub, policy: RetryPolicy = SOON) -> AsyncGenerator[Keeper[Link]]:
    keeper = Keeper("it", hub.open, policy)
    with anyio.fail_after(20):
        await keeper.start()
        try:
            yield keeper
        finally:
            await keeper.close(ClosedError("over"))
    assert all(link.closed for link in hub.links)


async def test_a_link_that_has_ended_is_closed_and_replaced() -> None:
    hub = Hub()
    async with keeping(hub) as keeper:
        first = await keeper.link()
        assert await keeper.link() is first
        first.ending.come(LOST)
        second = await keeper.link(after=first)
        assert [first, second] == hub.links
        assert first.closed
        assert not second.closed
        assert keeper.connection.state is ConnectionState.CONNECTED


async def test_it_tries_until_it_has_one() -> None:
    hub = Hub()
    async with keeping(hub) as keeper:
        link = await keeper.link()
        hub.failures += [ConnectError("busy")] * 3
        link.ending.come(LOST)
        assert await keeper.link(after=link) is hub.links[1]
    assert not hub.failures


async def test_what_is_lost_and_what_comes_back_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "c2dkit")
    hub = Hub()
    async with keeping(hub) as keeper:
        link = await keeper.link()
        assert not caplog.records
        hub.failures.append(ConnectError("busy"))
        link.ending.come(LOST)
        await keeper.link(after=link)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "it has no connection, try 1 to get one in 0.0 s: gone"),
        ("WARNING", "it has no connection, try 2 to get one in 0.0 s: busy"),
        ("INFO", "it is connected again"),
    ]


async def test_the_first_opening_is_tried_once() -> None:
    busy = ConnectError("busy")
    keeper = Keeper("it", Hub(busy).open, SOON)

    with pytest.raises(ConnectError):
        await keeper.start()

    assert keeper.connection.status.cause is busy
    with pytest.raises(ConnectError):
        await keeper.link()
    await keeper.close(ClosedError("over"))
    assert keeper.connection.status.cause is busy


async def test_whoever_follows_the_connection_learns_that_the_opening_was_cancelled() -> None:
    async def open_link() -> Link:
        await anyio.sleep_forever()
        raise AssertionError

    keeper = Keeper("it", open_link, SOON)
    with anyio.fail_after(20):
        with anyio.move_on_after(0.01):
            await keeper.start()
        assert (await keeper.connection.wait_for(ConnectionState.CLOSED)).cause is None
        with pytest.raises(ClosedError):
            await keeper.link()


async def test_whoever_waits_gets_the_error_that_does_not_pass() -> None:
    hub = Hub()
    async with keeping(hub) as keeper:
        link = await keeper.link()
        hub.failures.append(REFUSED)
        link.ending.come(LOST)
        with pytest.raises(UnauthorizedError):
            await keeper.link(after=link)
        with pytest.raises(UnauthorizedError):
            await keeper.recover(link, LOST)
        assert keeper.connection.state is ConnectionState.CLOSED


async def test_without_retries_the_first_end_is_the_last() -> None:
    hub = Hub()
    async with keeping(hub, RetryPolicy.none()) as keeper:
        link = await keeper.link()
        link.ending.come(LOST)
        with pytest.raises(ConnectionLostError):
            await keeper.link(after=link)
    assert len(hub.links) == 1


async def test_closing_ends_the_wait_for_another_link() -> None:
    hub = Hub()
    errors: list[Exception] = []

    async def wait() -> None:
        with pytest.raises(ClosedError) as caught:
            await keeper.link(after=hub.links[0])
        errors.append(caught.value)

    policy = RetryPolicy(first_delay=timedelta(days=1), max_delay=timedelta(days=1), deadline=None)
    async with anyio.create_task_group() as tasks, keeping(hub, policy) as keeper:
        hub.links[0].ending.come(LOST)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert keeper.connection.state is ConnectionState.RETRYING
        assert keeper.connection.status.cause is LOST
    assert len(errors) == 1
    assert keeper.connection.status.cause is None


async def test_closing_ends_the_wait_for_another_poll() -> None:
    policy = RetryPolicy(first_delay=timedelta(days=1), max_delay=timedelta(days=1), deadline=None)

    async def wait() -> None:
        with pytest.raises(ClosedError):
            await keeper.recover(hub.links[0], LOST)

    async with anyio.create_task_group() as tasks, keeping(hub := Hub(), policy) as keeper:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()


async def test_a_link_that_polls_is_asked_again() -> None:
    hub = Hub()
    async with keeping(hub) as keeper:
        link = await keeper.link()
        assert await keeper.recover(link, LOST) is link
        assert keeper.connection.status.tries == 1
        link.ending.went_well()
        assert keeper.connection.state is ConnectionState.CONNECTED
        with pytest.raises(UnauthorizedError):
            await keeper.recover(link, REFUSED)
        assert not link.closed
    assert keeper.connection.status.cause is REFUSED


async def test_polls_that_fail_late_are_one_row_of_tries_until_one_goes_well() -> None:
    async with keeping(Hub()) as keeper:  # whose longest delay is 0: whatever was connected has lasted
        link = await keeper.link()
        for tries in (1, 2, 3):
            await keeper.recover(link, LOST)
            assert keeper.connection.status.tries == tries
        link.ending.went_well()
        await keeper.recover(link, LOST)
        assert keeper.connection.status.tries == 1


async def test_tasks_whose_polls_fail_together_wait_together() -> None:
    hub = Hub()
    policy = RetryPolicy(first_delay=timedelta(days=1), max_delay=timedelta(days=1), deadline=None)
    async with keeping(hub, policy) as keeper, anyio.create_task_group() as tasks:
        link = await keeper.link()
        for _ in range(3):
            tasks.start_soon(keeper.recover, link, LOST)
        await anyio.wait_all_tasks_blocked()
        assert keeper.connection.status.tries == 1
        tasks.cancel_scope.cancel()


async def test_links_that_end_at_once_count_as_tries() -> None:
    hub = Hub()
    policy = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(days=1), deadline=None)
    async with keeping(hub, policy) as keeper:
        link = await keeper.link()
        for tries in range(1, 4):
            link.ending.come(LOST)
            await keeper.connection.wait_for(ConnectionState.RETRYING)
            assert keeper.connection.status.tries == tries
            link = await keeper.link(after=link)


async def test_a_link_that_lasted_begins_the_tries_anew() -> None:
    hub = Hub()
    async with keeping(hub) as keeper:  # whose longest delay is 0: every link has lasted
        link = await keeper.link()
        for _ in range(3):
            link.ending.come(LOST)
            assert (await keeper.connection.wait_for(ConnectionState.RETRYING)).tries == 1
            link = await keeper.link(after=link)


async def test_a_function_retries_that_fails_ends_the_waiting_with_its_error() -> None:
    broken = ZeroDivisionError()

    def retries(_: C2dError) -> bool:
        raise broken

    async with keeping(hub := Hub(), RetryPolicy(retries=retries)) as keeper:
        link = await keeper.link()
        link.ending.come(LOST)
        with pytest.raises(ZeroDivisionError):
            await keeper.link(after=link)
        cause = keeper.connection.status.cause
        assert cause is not None
        assert cause.__cause__ is broken
    assert len(hub.links) == 1


async def test_an_opening_that_fails_by_a_bug_ends_the_waiting_with_its_error() -> None:
    async with keeping(hub := Hub()) as keeper:
        link = await keeper.link()
        hub.failures.append(ZeroDivisionError())
        link.ending.come(LOST)
        with pytest.raises(ZeroDivisionError):
            await keeper.link(after=link)


async def test_a_planned_end_is_no_failure() -> None:
    hub = Hub()
    async with keeping(hub, RetryPolicy.none()) as keeper:
        seen: list[tuple[ConnectionState, object, int]] = []

        async def follow() -> None:
            seen.extend([(status.state, status.cause, status.tries) async for status in keeper.connection])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            for _ in range(3):
                await anyio.wait_all_tasks_blocked()
                link = await keeper.link()
                link.ending.come(LOST, planned=True)
                assert await keeper.link(after=link) is hub.links[-1]
            await keeper.close(ClosedError("over"))
    again = [(ConnectionState.RETRYING, LOST, 0), (ConnectionState.CONNECTED, None, 0)]
    assert seen == [(ConnectionState.CONNECTED, None, 0), *again * 3, (ConnectionState.CLOSED, None, 0)]


async def test_a_planned_end_after_which_nothing_opens_is_one() -> None:
    hub = Hub()
    async with keeping(hub, RetryPolicy.none()) as keeper:
        link = await keeper.link()
        hub.failures.append(REFUSED)
        link.ending.come(LOST, planned=True)
        with pytest.raises(UnauthorizedError):
            await keeper.link(after=link)


async def test_a_patient_start_goes_by_the_policy() -> None:
    hub = Hub(ConnectError("busy"), ConnectError("busy"))
    keeper = Keeper("it", hub.open, SOON)
    await keeper.start(patient=True)
    assert await keeper.link() is hub.links[0]
    await keeper.close(ClosedError("over"))
