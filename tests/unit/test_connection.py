from __future__ import annotations

import gc
from weakref import ref

import anyio
import pytest

from c2dkit import Connection, ConnectionLostError, ConnectionState, ConnectionStatus

LOST = ConnectionLostError("gone")
CONNECTED = ConnectionStatus(ConnectionState.CONNECTED)
CLOSED = ConnectionStatus(ConnectionState.CLOSED)


def retrying(tries: int) -> ConnectionStatus:
    return ConnectionStatus(ConnectionState.RETRYING, LOST, tries)


def test_it_begins_with_connecting() -> None:
    connection = Connection()

    assert connection.state is ConnectionState.CONNECTING
    assert repr(connection) == "<Connection connecting>"


async def test_an_iteration_sees_every_change_and_ends_with_closed() -> None:
    connection = Connection()
    seen: list[ConnectionStatus] = []

    async def follow() -> None:
        seen.extend([status async for status in connection])

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            connection.change(CONNECTED)
            connection.change(retrying(1))
            connection.change(retrying(2))
            await anyio.wait_all_tasks_blocked()
            connection.change(CLOSED)
    assert seen == [ConnectionStatus(ConnectionState.CONNECTING), CONNECTED, retrying(1), retrying(2), CLOSED]


async def test_an_iteration_begins_with_the_status_now() -> None:
    connection = Connection()
    connection.change(CONNECTED)
    connection.change(CLOSED)

    assert [status async for status in connection] == [CLOSED]


async def test_an_iteration_that_lags_behind_misses_the_oldest() -> None:
    connection = Connection()
    statuses = aiter(connection)
    await anext(statuses)
    for tries in range(1, 200):
        connection.change(retrying(tries))
    connection.change(CLOSED)

    seen = [status async for status in statuses]

    assert seen == [*(retrying(tries) for tries in range(137, 200)), CLOSED]


def test_the_same_status_again_is_no_change_and_closed_stays() -> None:
    connection = Connection()
    connection.change(CONNECTED)
    before = connection.status
    connection.change(ConnectionStatus(ConnectionState.CONNECTED))
    assert connection.status is before

    connection.change(CLOSED)
    connection.change(CONNECTED)
    assert connection.status is CLOSED


async def test_a_state_can_be_awaited() -> None:
    connection = Connection()
    statuses: list[ConnectionStatus] = []

    async def wait() -> None:
        statuses.append(await connection.wait_for(ConnectionState.CONNECTED))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            connection.change(retrying(1))
            await anyio.wait_all_tasks_blocked()
            assert not statuses
            connection.change(CONNECTED)
        assert await connection.wait_for(ConnectionState.CONNECTED) is CONNECTED
    assert statuses == [CONNECTED]


@pytest.mark.parametrize("state", [ConnectionState.CONNECTED, ConnectionState.RETRYING, ConnectionState.CLOSED])
async def test_whoever_waits_learns_of_the_end(state: ConnectionState) -> None:
    connection = Connection()
    connection.change(ConnectionStatus(ConnectionState.CLOSED, LOST))

    with anyio.fail_after(20):
        assert (await connection.wait_for(state)).cause is LOST


async def test_one_connection_follows_another() -> None:
    leader, follower, late = Connection(), Connection(), Connection()
    follower.follow(leader)
    leader.change(ConnectionStatus(ConnectionState.CONNECTED))
    late.follow(leader)
    assert (follower.state, late.state) == (ConnectionState.CONNECTED, ConnectionState.CONNECTED)
    follower.change(ConnectionStatus(ConnectionState.CLOSED))
    leader.change(ConnectionStatus(ConnectionState.RETRYING))
    assert (follower.state, late.state) == (ConnectionState.CLOSED, ConnectionState.RETRYING)


def test_a_cause_that_is_past_keeps_nothing_alive() -> None:
    class Stream:
        """What a frame has that reads from it."""

    def lose() -> tuple[ConnectionLostError, ref[Stream]]:
        stream = Stream()
        error = ConnectionLostError("gone")
        try:
            int("none")
        except ValueError as broken:
            error.__cause__ = broken
        return error, ref(stream)

    cause, stream = lose()
    connection = Connection()
    connection.change(ConnectionStatus(ConnectionState.RETRYING, cause))
    assert stream() is not None  # it may still be raised
    connection.change(ConnectionStatus(ConnectionState.CONNECTED))
    gc.collect()
    assert stream() is None
