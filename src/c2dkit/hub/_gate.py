"""What has to be let through before it is done: by the tier's throttles, and by faults that refuse."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError, QuotaExceededError, ThrottledError, UnauthorizedError
from c2dkit._rules.validation import message_size
from c2dkit.hub._fault_commands import fault_of
from c2dkit.hub._faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from c2dkit._models import Message
    from c2dkit.hub._auth import Grant
    from c2dkit.hub._fault_injection import Faults
    from c2dkit.hub._options import HubOptions
    from c2dkit.hub._throttle import Throttle

__all__ = ["Gate"]

log = logging.getLogger("c2dkit.hub")

MAX_COMMANDS: Final = 16
"""How many faults a device may have asked for at a time."""


class Gate:
    """Raises ThrottledError, QuotaExceededError or UnauthorizedError for what is not to be done now."""

    def __init__(self, options: HubOptions, throttle: Throttle, faults: Faults) -> None:
        self._obeys = options.sdk_fault_commands
        self._throttle = throttle
        self._faults = faults

    def sign_in(self, grant: Grant) -> None:
        """Let a token count that is good in itself."""
        self._reject_token(grant.subject)

    def connect(self, device_id: str) -> None:
        """Let a device begin to receive over AMQP or MQTT."""
        self._check_throttled(device_id)
        self._throttle.connect()

    def message(self, message: Message, device_id: str | None) -> None:
        """Let a back end send a message to a device."""
        self._check_throttled(device_id)
        self._check_quota(device_id)
        self._throttle.send(message_size(message))

    def queued(self, message: Message) -> None:
        """Count a message that was let through and has been taken."""
        self._throttle.sent(message_size(message))

    def poll(self, device_id: str) -> None:
        """Let a device ask for a message over HTTPS."""
        self._check_throttled(device_id)
        self._throttle.poll()

    def registry(self) -> None:
        """Let a back end use the registry."""
        self._check_throttled(None)
        self._throttle.registry()

    def event(self, device_id: str, properties: Mapping[str, object]) -> None:
        """Let a device send telemetry, which this hub keeps none of, and do what it commands."""
        self._check_throttled(device_id)
        self._check_quota(device_id)
        self._reject_token(device_id)
        log.debug("dropped a message from %s: this hub keeps no telemetry", device_id)
        if self._obeys:
            self._obey(device_id, properties)

    def _obey(self, device_id: str, properties: Mapping[str, object]) -> None:
        try:
            fault = fault_of(properties, device_id)
            if fault is not None and self._faults.count_of(device_id) < MAX_COMMANDS:
                log.info("%s asks for a fault: %s", device_id, fault)
                self._faults.inject(fault, at_once=False)  # the command is answered first
        except InvalidInputError as error:
            log.warning("%s asks for a fault in vain: %s", device_id, error)

    def _check_throttled(self, device_id: str | None) -> None:
        if self._faults.happens(FaultKind.THROTTLE, device_id):
            raise ThrottledError("a fault that was injected: too many requests")

    def _check_quota(self, device_id: str | None) -> None:
        if self._faults.happens(FaultKind.QUOTA, device_id):
            raise QuotaExceededError("a fault that was injected: the daily quota of messages is used up")

    def _reject_token(self, device_id: str | None) -> None:
        if self._faults.happens(FaultKind.REJECT_TOKEN, device_id):
            raise UnauthorizedError("a fault that was injected: the token does not hold")
