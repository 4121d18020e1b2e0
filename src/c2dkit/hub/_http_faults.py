"""Faults for a hub that runs already: a private address, which ``c2dkit fault`` uses. IoT Hub has nothing like it.

``POST /$c2dkit/faults?fault=drop%20device%3Ddev-1`` injects a fault and ``DELETE /$c2dkit/faults`` withdraws all of
them, for whoever has ServiceConnect and RegistryWrite on the whole hub, as the policy ``iothubowner`` has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from c2dkit.hub._faults import Fault
from c2dkit.hub._http_auth import require_service
from c2dkit.hub._http_request import NO_CONTENT, Reply
from c2dkit.hub._identities import Right

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["FAULTS_PATH", "FAULTS_SEGMENTS", "FaultEndpoints"]

FAULTS_SEGMENTS: Final = ("$c2dkit", "faults")
FAULTS_PATH: Final = f"/{'/'.join(FAULTS_SEGMENTS)}"


class FaultEndpoints:
    """The address of faults."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self.methods: Mapping[str, Callable[[Request], Reply]] = {"POST": self.inject, "DELETE": self.withdraw_all}

    def inject(self, request: Request) -> Reply:
        """Inject the fault of the query."""
        self._authorize(request)
        fault = Fault.parse(request.query.get("fault", ""))
        self._core.faults.inject(fault)
        return Reply(200, {"Content-Type": "application/json"}, json.dumps({"fault": str(fault)}).encode())

    def withdraw_all(self, request: Request) -> Reply:
        """Withdraw every fault."""
        self._authorize(request)
        self._core.faults.withdraw_all()
        return NO_CONTENT

    def _authorize(self, request: Request) -> None:
        # A fault that rejects every token could not be withdrawn if it befell this address too.
        for right in (Right.SERVICE_CONNECT, Right.REGISTRY_WRITE):
            require_service(self._core.auth, request, right, "", faulty=False)
