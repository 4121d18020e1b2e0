"""How many messages a device loses that is killed while it handles them, with c2dkit and with azure-iot-device."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit import CloudSender
from c2dkit.hub import HubOptions, LocalHub

from .conftest import python, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Program

pytestmark = pytest.mark.timeout(180)  # each kill is the start of a process, and of a client in it
KILLS = 10
DEVICE = "dev-1"


@dataclass
class Ledger:
    """What a device was sent, and what it has handled to the end."""

    sent: set[str] = field(default_factory=set)
    killed: int = 0
    handled: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{len(self.sent)} | {self.killed} | {len(self.handled)} | {len(self.sent - self.handled)}"


LEDGERS: dict[str, Ledger] = {}


def account() -> str:
    """Print the ledgers beside each other."""
    rows = [f"| {client} | {ledger} |" for client, ledger in LEDGERS.items()]
    return "\n".join(["| client | sent | killed | handled | lost |", "|---|---:|---:|---:|---:|", *rows])


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    """A hub on the standard ports, of an address that no other hub listens on: the SDK dials no others."""
    options = HubOptions(feedback_interval=timedelta(0))
    async with LocalHub(devices=[DEVICE], host="127.0.0.84", amqp_port=5671, mqtt_port=8883, options=options) as hub:
        yield hub


@pytest.mark.parametrize("transport", ["mqtt", "amqp"])
async def test_c2dkit_loses_none(hub: LocalHub, transport: str) -> None:
    ledger = LEDGERS[f"c2dkit over {transport}"] = Ledger()
    await kill_many_times([*python("crash/c2dkit_device.py"), transport], hub, ledger)
    assert ledger.handled == ledger.sent


async def test_azure_iot_device_has_acknowledged_what_it_loses(hub: LocalHub) -> None:
    ledger = LEDGERS["azure-iot-device over mqtt"] = Ledger()
    await kill_many_times(python("crash/azure_iot_device.py"), hub, ledger)
    assert ledger.sent - ledger.handled
    assert hub.queue_depth(DEVICE) == 0


async def kill_many_times(command: list[str], hub: LocalHub, ledger: Ledger) -> None:
    """Let a device handle one message, and kill it while it handles the next, again and again; then let it live."""
    environment = {"DEVICE_CONNECTION_STRING": hub.device_connection_string(DEVICE), "CA_FILE": str(hub.ca_file)}
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=hub.ssl_context()
    ) as sender:
        for number in range(KILLS + 1):
            async with running(command, environment) as device:
                await device.line("ready")
                await handle(await send(sender, ledger), device, ledger)
                if number < KILLS:
                    await device.line(f"begin {await send(sender, ledger)}")
                    ledger.killed += 1


async def send(sender: CloudSender, ledger: Ledger) -> str:
    message_id = f"m{len(ledger.sent)}"
    ledger.sent.add(message_id)
    await sender.send(DEVICE, "work", message_id=message_id)
    return message_id


async def handle(message_id: str, device: Program, ledger: Ledger) -> None:
    """Let the device go on with everything until it has handled one message; those that come again come before it."""
    while message_id not in ledger.handled:
        word, _, named = (await device.line("")).partition(" ")
        if word == "begin":
            await device.tell("go on")
        elif word == "end":
            ledger.handled.add(named)
