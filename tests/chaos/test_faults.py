"""Faults at random: every message is accounted for, nothing goes silent, nothing stays behind."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import _net, _websocket
from c2dkit.hub import Fault, FaultKind, HubOptions, LocalHub
from c2dkit.transports import _amqp_client, _https_client, _mqtt, _waiting
from tests.accounts.ledger import MAX_DELIVERY_COUNT, Ledger
from tests.chaos.books import Books
from tests.chaos.clients import DEVICE_TRANSPORTS, SERVICE_TRANSPORTS, Clients
from tests.chaos.leftovers import Leftovers, none_left
from tests.chaos.script import faults, seeds, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from c2dkit.hub import InjectedFault
    from tests.chaos.script import Step

DEVICE = "dev-1"
TTL = timedelta(hours=1)
OPTIONS = HubOptions(
    default_ttl=TTL,
    max_delivery_count=MAX_DELIVERY_COUNT,
    feedback_interval=timedelta(0),
    feedback_max_delivery_count=100,
)
LOCKS = timedelta(seconds=61)
"""After so long no lock of a message or a batch holds any more."""
LONGEST = 40
"""How many seconds a script may take until the last send has ended."""
BOOKS = Books("faults")
account = BOOKS.account


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize("service", SERVICE_TRANSPORTS)
@pytest.mark.parametrize("device", DEVICE_TRANSPORTS)
async def test_every_message_has_one_outcome(
    device: str, service: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(f"{device} {service} {seed}")
    dead_links = seed % 2 == 1
    script = faults(random, DEVICE, dead_links=dead_links)
    ledger, deeds = Ledger(ttl=TTL), Counter[str]()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if dead_links:
        shorten_bounds(monkeypatch)
    leftovers = Leftovers(tmp_path)
    time = anyio.move_on_after(LONGEST)
    async with LocalHub(devices=[DEVICE], options=OPTIONS) as hub:
        clients = Clients(ledger, random, str(hub.ca_file))
        feedback = random.choice((service, "https"))
        async with anyio.create_task_group() as group:
            group.start_soon(clients.receive, hub.device_connection_string(DEVICE), device)
            group.start_soon(clients.read_feedback, hub.service_connection_string, feedback)
            with time:
                async with anyio.create_task_group() as sending:
                    sending.start_soon(clients.send, hub.service_connection_string, service, DEVICE)
                    deeds.update(await play(script, hub, ledger))
                    clients.sending, clients.calm = False, True
            hub.clock.advance(LOCKS)
            with anyio.move_on_after(20):
                while ledger.waiting() or hub.queue_depth(DEVICE):
                    await ledger.wait()
            group.cancel_scope.cancel()
        left = hub.queue_depth(DEVICE)
        await none_left(lambda: hub.connection_count)
        connections = hub.connection_count
    BOOKS.enter(deeds, ledger, clients.ends)
    late = ["a send has not ended, or dead links were not found"] if time.cancelled_caught else []
    duplicates = deeds[FaultKind.DUPLICATE]
    wrong = [*late, *ledger.check(duplicates=(duplicates, duplicates)), *await leftovers.settled()]
    assert (wrong, left, connections) == ([], 0, 0), "\n".join([f"seed {seed}", *wrong, *map(str, script)])


def shorten_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients find that a hub is silent in a second or two; else the other scripts would not show a client that hangs."""
    monkeypatch.setattr(_amqp_client, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(_mqtt, "KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(_https_client, "REQUEST_SECONDS", 1.0)
    for module, step in ((_net, "CONNECT"), (_websocket, "CONNECT"), (_https_client, "CONNECT"), (_waiting, "ANSWER")):
        monkeypatch.setattr(module, f"{step}_SECONDS", 2.0)  # links that die while they are opened


async def play(script: Sequence[Step], hub: LocalHub, ledger: Ledger) -> Counter[str]:
    """Have everything go wrong, and then nothing any more; return how often which fault happened."""
    injected: list[tuple[str, InjectedFault]] = []
    for step in script:
        await wait_for(step, ledger)
        assert isinstance(step.deed, Fault)
        injected.append((step.kind, hub.inject(step.deed)))
        if step.has_to_be_found:
            await ledger.until_another_ends()
    with anyio.move_on_after(1):
        await ledger.until(20)
    deeds: Counter[str] = Counter()
    for kind, fault in injected:
        fault.withdraw()
        deeds[kind] += fault.count
    return deeds
