"""As `test_faults`, with a hub and a device that are killed while the faults go on; half as many scripts, for a start takes its time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.accounts.ledger import Ledger
from tests.accounts.lives import Lives, what_is_left
from tests.chaos.books import Books
from tests.chaos.clients import DEVICE_TRANSPORTS, SERVICE_TRANSPORTS, Clients
from tests.chaos.device_lives import DeviceLives
from tests.chaos.leftovers import Leftovers
from tests.chaos.script import Kill, faults_and_kills, most_duplicates, seeds, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.script import Step

pytestmark = pytest.mark.timeout(120)
TTL = timedelta(hours=1)
LOCKS = 61
"""After so many seconds no lock of a message or a batch holds any more."""
LONGEST = 60
"""How many seconds a script may take until the last send has ended."""
BOOKS = Books("faults and kills")
account = BOOKS.account


@pytest.mark.parametrize("seed", seeds(of=2))
@pytest.mark.parametrize("device", DEVICE_TRANSPORTS)
async def test_every_message_has_one_outcome(device: str, seed: int, tmp_path: Path) -> None:
    random = Random(f"{device} {seed}")
    device_id = f"{device.removesuffix('-ws')}-1"
    script = faults_and_kills(random, device_id)
    ledger = Ledger(ttl=TTL)
    leftovers = Leftovers()
    lives = Lives(tmp_path / "data", ttl=TTL)
    devices = DeviceLives(ledger, lives, random, device_id, device)
    time = anyio.move_on_after(LONGEST)
    try:
        await lives.spawn()
        await lives.ready()
        clients = Clients(ledger, random, lives.ca_file)
        service = random.choice(SERVICE_TRANSPORTS)
        feedback = random.choice((service, "https"))
        async with anyio.create_task_group() as group:
            group.start_soon(devices.live)
            group.start_soon(clients.read_feedback, lives.service, feedback)
            with time:
                async with anyio.create_task_group() as sending:
                    sending.start_soon(clients.send, lives.service, service, device_id)
                    await play(script, lives, devices, ledger)
                    clients.sending = False
                    await devices.calm_down()
                    await restart(lives, advance=LOCKS)
            with anyio.move_on_after(20):
                await clients.send_last(lives.service, service, device_id)
                while ledger.waiting():
                    await ledger.wait()
            group.cancel_scope.cancel()
    finally:
        await lives.end()
    BOOKS.enter(Counter(step.kind for step in script), ledger, clients.ends + devices.ends, devices.in_hand)
    left = what_is_left(tmp_path / "data")["messages"]  # the last batch may be read and not completed
    late = ["a send has not ended"] if time.cancelled_caught else []
    duplicates = (0, most_duplicates(script))  # how many there were, a hub that is killed cannot say
    wrong = [*late, *ledger.check(duplicates=duplicates), *await leftovers.settled()]
    assert (wrong, left) == ([], 0), "\n".join([f"seed {seed}", *wrong, *map(str, script)])


async def play(script: Sequence[Step], lives: Lives, devices: DeviceLives, ledger: Ledger) -> None:
    """Have everything go wrong."""
    for step in script:
        await wait_for(step, ledger)
        if step.deed is Kill.HUB:
            await restart(lives)
        elif step.deed is Kill.DEVICE:
            await devices.kill()
        else:
            await lives.inject(step.deed)


async def restart(lives: Lives, *, advance: int = 0) -> None:
    """Kill the hub, and start it on its folder and its port."""
    await lives.kill()
    await lives.spawn(advance=advance)
    await lives.ready()
