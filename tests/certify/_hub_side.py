"""The hub's part in a case: its devices, its clock, its connections, and what it says of its queues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import anyio

from c2dkit.hub import HubOptions, LocalHub

from ._credentials import ISSUER, SECONDARY_KEY
from ._expect import CaseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from ._model import Device, Step

__all__ = ["HubSide", "make_hub"]

MOMENT: Final = 0.005
LONGEST: Final = timedelta(minutes=50)
"""How far the clock may go in all: the clients' tokens are of the real time, and live for an hour."""


def make_hub(address: str | None) -> LocalHub:
    """Return a hub that sends feedback at once: on the standard ports of an address, or on any port of localhost."""
    options = HubOptions(feedback_interval=timedelta(0))
    if address is None:
        return LocalHub(devices=[], options=options, issuers=[ISSUER])
    return LocalHub(
        devices=[],
        host=address,
        amqp_port=5671,
        mqtt_port=8883,
        https_port=443,
        options=options,
        issuers=[ISSUER],
    )


class HubSide:
    """Takes the hub's steps of one case; within ``seconds`` the hub has to learn of what a client has done."""

    def __init__(self, hub: LocalHub, *, seconds: float) -> None:
        self.hub = hub
        self.certificates: dict[str, bytes] = {}
        self.first_keys: dict[str, str] = {}
        self._seconds = seconds
        self._steps: Mapping[str, Callable[[Step, str], Awaitable[None]]] = {
            "advance": self._advance,
            "drop": self._drop,
            "disable": self._disable,
            "enable": self._enable,
            "remove": self._remove,
            "rotate": self._rotate,
            "holds": self._holds,
        }

    def make_device(self, device_id: str, device: Device) -> None:
        """Register a device as the case wants it."""
        if not device.exists:
            return
        if device.sign_in == "key":
            self.hub.add_device(device_id, secondary_key=SECONDARY_KEY)
            self.first_keys[device_id] = self.hub.device_connection_string(device_id).partition("SharedAccessKey=")[2]
        else:
            certificate = self.certificates[device_id] = self.hub.issue_certificate(device_id)
            known = certificate if device.sign_in == "thumbprint" else None
            self.hub.add_device(device_id, certificate_pem=known, ca_signed=known is None)
        if not device.enabled:
            self.hub.disable_device(device_id)

    def device_ids(self) -> Collection[str]:
        """The devices that the hub has."""
        return tuple(self.hub._state.devices)

    def clear(self) -> None:
        """Remove all devices, so that every case begins with none."""
        for device_id in self.device_ids():
            self.hub.remove_device(device_id)

    async def take(self, step: Step, device_id: str) -> None:
        """Take a step.

        Raises:
            CaseError: The hub does not say what the case expects.
        """
        await self._steps[step.do](step, device_id)

    async def _advance(self, step: Step, _: str) -> None:
        self.hub.clock.advance(timedelta(seconds=step.seconds))
        assert self.hub.clock.now() - datetime.now(UTC) < LONGEST

    async def _drop(self, _: Step, __: str) -> None:
        await self.hub.disconnect_all()

    async def _disable(self, _: Step, device_id: str) -> None:
        self.hub.disable_device(device_id)

    async def _enable(self, _: Step, device_id: str) -> None:
        self.hub.enable_device(device_id)

    async def _remove(self, _: Step, device_id: str) -> None:
        self.hub.remove_device(device_id)

    async def _rotate(self, _: Step, device_id: str) -> None:
        self.hub.rotate_device_key(device_id, "primary")

    async def _holds(self, step: Step, device_id: str) -> None:
        with anyio.move_on_after(self._seconds):
            while self.hub.queue_depth(device_id) != step.expect:  # noqa: ASYNC110 - no client tells of a settlement
                await anyio.sleep(MOMENT)
        if (depth := self.hub.queue_depth(device_id)) != step.expect:
            raise CaseError(f"it holds {depth} messages, not {step.expect}")
