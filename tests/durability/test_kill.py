"""A hub with a folder is killed under load, again and again, and every message is accounted for.

``C2DKIT_KILLS`` is how often, 25 by default; ``C2DKIT_SEED`` repeats the choices of a run, as far as the machine does.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from tests.accounts.hub_process import DEVICES
from tests.accounts.ledger import Ledger, in_words
from tests.accounts.lives import Lives, what_is_left
from tests.durability.clients import Clients

if TYPE_CHECKING:
    from pathlib import Path

KILLS: Final = int(os.environ.get("C2DKIT_KILLS", "25"))
SEED: Final = int(os.environ.get("C2DKIT_SEED", str(Random().randrange(1_000_000))))
SECONDS_PER_KILL: Final = 10
MOST_ANSWERS: Final = 200
"""How many answers of a hub its clients may get before it is killed."""
LEDGER: Final = Ledger()


def account() -> str:
    """Tell of the run, for the summary of the test run."""
    return f"kill test, seed {SEED}: {LEDGER.kills} kills, {in_words(LEDGER.totals())}"


@pytest.mark.timeout(60 + SECONDS_PER_KILL * KILLS)
async def test_every_message_is_accounted_for(tmp_path: Path) -> None:
    folder, random = tmp_path / "data", Random(SEED)
    lives = Lives(folder)
    clients = Clients(LEDGER, lives, random)
    try:
        await lives.spawn()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(clients.send_all_the_time)
            for device_id in DEVICES:
                group.start_soon(clients.receive_all_the_time, device_id)
            group.start_soon(clients.read_feedback_all_the_time)
            group.start_soon(clients.purge_now_and_then)
            await kill_many_times(lives, random)
            await settle_down(clients, lives)
            group.cancel_scope.cancel()
    finally:
        await lives.end()
    assert LEDGER.check() == []
    assert what_is_left(folder) == {"messages": 0, "batches": 0, "deliveries": 0, "records": 0}


async def kill_many_times(lives: Lives, random: Random) -> None:
    for number in range(KILLS):
        if number % 6 == 5:  # while it starts
            await anyio.sleep(random.uniform(0.0, 1.0))
        else:
            await lives.ready()
            with anyio.move_on_after(SECONDS_PER_KILL / 2):
                await LEDGER.until(random.randrange(MOST_ANSWERS))
            await anyio.sleep(random.uniform(0.0, 0.02))
        await lives.kill()
        LEDGER.kills += 1
        await lives.spawn(advance=61 if number % 5 == 0 else 0)
    await lives.ready()


async def settle_down(clients: Clients, lives: Lives) -> None:
    """Have everything come to its end: what is behind a last message in a queue has been dealt with before it."""
    clients.sending = False
    clients.calm = True
    with anyio.fail_after(50):
        last = [await clients.send_last(device_id) for device_id in lives.devices]
        await LEDGER.until_recorded(last)
