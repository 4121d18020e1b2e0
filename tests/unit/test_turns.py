from __future__ import annotations

import anyio
import pytest

from c2dkit._turns import Turns


async def test_tasks_of_one_key_go_in_the_order_in_which_they_came() -> None:
    turns, went = Turns(), list[str]()
    gate = anyio.Event()

    async def go(key: str, name: str) -> None:
        async with turns.of(key):
            if name == "a1":
                await gate.wait()
            went.append(name)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for key, name in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")]:
                tasks.start_soon(go, key, name)
                await anyio.wait_all_tasks_blocked()
            assert went == ["b1"]
            gate.set()
    assert went == ["b1", "a1", "a2", "a3"]


async def test_who_is_cancelled_or_fails_holds_nobody_up_and_nothing_stays() -> None:
    turns, went = Turns(), list[str]()

    async def wait_for_ever(scope: anyio.CancelScope) -> None:
        with scope:
            async with turns.of("a"):
                await anyio.sleep_forever()

    async def go() -> None:
        async with turns.of("a"):
            went.append("a")

    first, second = anyio.CancelScope(), anyio.CancelScope()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for scope in (first, second):
                tasks.start_soon(wait_for_ever, scope)
                await anyio.wait_all_tasks_blocked()
            tasks.start_soon(go)
            second.cancel()
            await anyio.wait_all_tasks_blocked()
            assert not went
            first.cancel()
        with pytest.raises(ZeroDivisionError):
            async with turns.of("a"):
                _ = 1 / 0
        await go()
    assert went == ["a", "a"]
    assert not turns._locks
