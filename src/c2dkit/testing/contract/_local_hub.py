"""``LocalHub`` as the contract tests see it."""

from __future__ import annotations

import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from c2dkit._models import FeedbackStatus
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from c2dkit._models import Message
    from c2dkit.hub._queue import Entry
    from c2dkit.testing.contract._hub_view import HubView

__all__ = ["STANDARD_PORTS", "LocalHubView", "local_hub", "no_standard_hub", "own_address", "standard_hub"]

DEVICES: Final = ("dev-1", "dev-2")
STANDARD_PORTS: Final = (5671, 8883, 443)
"""AMQP, MQTT, HTTPS."""


@asynccontextmanager
async def local_hub() -> AsyncGenerator[HubView]:
    """A ``LocalHub`` on a free port."""
    async with LocalHub(devices=DEVICES, options=_options()) as hub:
        yield LocalHubView(hub)


@asynccontextmanager
async def standard_hub() -> AsyncGenerator[HubView]:
    """A ``LocalHub`` on the standard ports, for clients that dial no other; see ``own_address``."""
    amqp_port, mqtt_port, https_port = STANDARD_PORTS
    async with LocalHub(
        devices=DEVICES,
        host=own_address(0),
        amqp_port=amqp_port,
        mqtt_port=mqtt_port,
        https_port=https_port,
        options=_options(),
    ) as hub:
        yield LocalHubView(hub)


@cache
def no_standard_hub() -> str | None:
    """Say why no hub can listen on the standard ports here, or return None."""
    for port in STANDARD_PORTS:
        try:
            socket.create_server((own_address(0), port)).close()
        except OSError as error:
            return f"its client dials standard ports only, and {own_address(0)}:{port} cannot be listened on: {error}"
    return None


def own_address(number: int) -> str:
    """Return a loopback address that no other process uses, so that its standard ports are free.

    The whole of 127.0.0.0/8 is this machine on Linux and Windows; macOS has to be told of each address but 127.0.0.1.
    """
    process = os.getpid()
    return f"127.{64 + 8 * (process >> 16 & 7) + number}.{process >> 8 & 0xFF}.{process & 0xFF}"


def _options() -> HubOptions:
    return HubOptions(feedback_interval=timedelta(0))


class LocalHubView:
    """Reads the state of a ``LocalHub``, and changes it as a client would; see ``HubView``."""

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub
        self._state = hub._state  # noqa: SLF001 - the suite asks the queues themselves, not a client
        self._outcomes: dict[str, FeedbackStatus] = {}

    @property
    def trust(self) -> Path | None:
        """The hub's own authority."""
        return self._hub.ca_file

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return self._hub.connection_count

    def device_credential(self, device_id: str) -> DeviceCredential:
        """Return a credential with the device's key."""
        text = self._hub.device_connection_string(device_id)
        return replace(DeviceCredential.from_connection_string(text), port=self._hub.port)

    def service_credential(self) -> ServiceCredential:
        """Return a credential of the policy ``iothubowner``: to read the registry takes more than ``service`` may."""
        text = self._hub.owner_connection_string
        return replace(ServiceCredential.from_connection_string(text), port=self._hub.port)

    def now(self) -> datetime:
        """Return the hub's time."""
        return self._hub.clock.now()

    def advance(self, delta: timedelta) -> None:
        """Move the hub's clock."""
        self._hub.clock.advance(delta)

    def send(self, message: Message) -> None:
        """Queue a message."""
        self._state.send(message)

    def queue(self, device_id: str) -> Sequence[Message]:
        """Return a device's messages."""
        self._state.tick()
        return [
            entry.item._replace(
                sequence_number=entry.sequence_number,
                enqueued_at=entry.enqueued_at,
                delivery_count=entry.delivery_count,
            )
            for entry in sorted(self._entries(device_id), key=lambda entry: entry.sequence_number)
        ]

    def held(self, device_id: str) -> int:
        """Return how many are locked."""
        self._state.tick()
        return sum(entry.lock_token is not None for entry in self._entries(device_id))

    def finish(self, message_id: str, status: FeedbackStatus) -> None:
        """Receive the message, those before it too, and settle it; the others go back."""
        (device_id,) = (name for name in DEVICES for item in self.queue(name) if item.message_id == message_id)
        if status is FeedbackStatus.EXPIRED:
            self.advance(timedelta(minutes=6))
        elif status is FeedbackStatus.PURGED:
            self._state.purge(device_id)
        elif status is FeedbackStatus.DELIVERY_COUNT_EXCEEDED:
            while any(message.message_id == message_id for message in self.queue(device_id)):
                self._state.abandon(*self._lock(device_id, message_id))
        elif status is FeedbackStatus.REJECTED:
            self._state.reject(*self._lock(device_id, message_id))
        else:
            self._state.complete(*self._lock(device_id, message_id))
        self._state.release_holder(self)

    def outcomes(self) -> Mapping[str, FeedbackStatus]:
        """Receive and complete all feedback, and return it with what came before."""
        while locked := self._state.receive_feedback(self):
            self._outcomes |= {record.original_message_id: record.status for record in locked.records}
            self._state.complete_feedback(locked.lock_token)
        return self._outcomes

    def disable_device(self, device_id: str) -> None:
        """Disable the device."""
        self._hub.disable_device(device_id)

    async def disconnect_all(self) -> None:
        """Drop every connection."""
        await self._hub.disconnect_all()

    def _entries(self, device_id: str) -> list[Entry[Message]]:
        queue = self._state._queues[device_id]  # noqa: SLF001 - see above
        return [*queue._waiting, *queue._locked.values()]  # noqa: SLF001

    def _lock(self, device_id: str, message_id: str) -> tuple[str, UUID]:
        while locked := self._state.receive(device_id, holder=self, lock_for=None):
            if locked.message.message_id == message_id:
                return device_id, locked.lock_token
        raise LookupError(f"{message_id} does not wait in the queue of {device_id}")
