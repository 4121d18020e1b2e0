"""A hub to develop and test against: the queues of IoT Hub behind IoT Hub's own protocols, on this machine."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import anyio

from c2dkit._errors import ClosedError
from c2dkit.hub._amqp import AmqpDoor
from c2dkit.hub._auth import Authenticator
from c2dkit.hub._authority import CertificateAuthority
from c2dkit.hub._clock import HubClock
from c2dkit.hub._core import HubCore
from c2dkit.hub._identities import default_policies
from c2dkit.hub._listener import Listener
from c2dkit.hub._mqtt import MqttDoor
from c2dkit.hub._options import HubOptions
from c2dkit.hub._state import HubState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from c2dkit.hub._listener import Door

__all__ = ["LocalHub"]

AMQP_PORT: Final = 5671
MQTT_PORT: Final = 8883
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, and listened on only where the caller says so
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
SERVICE_POLICY: Final = "service"


class LocalHub:
    """A hub with the devices given, listening from ``async with`` until its end; nothing is kept beyond that.

    Every port takes AMQP and MQTT alike, over TLS, and asks every client for a shared access signature. A hub may be
    left by another task than the one that entered it.

    Args:
        devices: The ids of the first devices; their keys are made up.
        host: The name or address to listen on, and the one that clients are told. Other machines can reach the hub
            only where this is an address of the network.
        amqp_port: The port in the connection strings; 0 takes a free one.
        mqtt_port: A second port for clients that can dial only the standard ones (5671 and 8883); 0 takes a free one,
            None does without.
        options: Queue limits, times and the like, by default those of IoT Hub.

    Raises:
        InvalidInputError: A device id breaks IoT Hub's rules.
    """

    def __init__(
        self,
        *,
        devices: Iterable[str] = ("dev-1",),
        host: str = "localhost",
        amqp_port: int = 0,
        mqtt_port: int | None = None,
        options: HubOptions | None = None,
    ) -> None:
        self.clock: HubClock = HubClock()
        """The hub's clock; ``advance`` makes locks, messages and tokens expire without waiting."""
        self.host: str = "localhost" if host in WILDCARDS else host
        """The host name in the connection strings."""
        self._bind = host
        self._ports = [amqp_port] if mqtt_port is None else [amqp_port, mqtt_port]
        self._options = options or HubOptions()
        self._policies = default_policies()
        self._authority = CertificateAuthority()
        self._state = HubState(self._options, self.clock.now)
        self._listeners: list[Listener] = []
        self._core: HubCore | None = None
        self._ca_file: Path | None = None
        for device_id in devices:
            self._state.add_device(device_id)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: A port is taken or may not be used, or the host's address is not one of this machine's.
        """
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop every connection and stop listening."""
        await self._close()

    @property
    def port(self) -> int:
        """The port that the hub listens on, for every protocol."""
        return self._first().port

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports: ``port``, and that of ``mqtt_port`` where one was asked for."""
        self._first()
        return tuple(listener.port for listener in self._listeners)

    @property
    def ca_file(self) -> Path:
        """The certificate (PEM) that clients must trust; the file is there as long as the hub listens."""
        if self._ca_file is None:
            raise _not_listening()
        return self._ca_file

    @property
    def service_connection_string(self) -> str:
        """What a back end connects with: policy ``service``, which may send messages and receive feedback."""
        key = self._policies[SERVICE_POLICY].primary_key
        return f"HostName={self._host_name()};SharedAccessKeyName={SERVICE_POLICY};SharedAccessKey={key}"

    def device_connection_string(self, device_id: str) -> str:
        """What a device connects with.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        key = self._state.device(device_id).primary_key
        return f"HostName={self._host_name()};DeviceId={device_id};SharedAccessKey={key}"

    def add_device(self, device_id: str) -> None:
        """Register a device with an empty queue and a key of its own.

        Raises:
            InvalidInputError: The id breaks IoT Hub's rules.
            ServiceError: There is such a device (409001).
        """
        self._state.add_device(device_id)

    def queue_depth(self, device_id: str) -> int:
        """Return how many messages wait for a device, those that it holds included.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        return self._state.queue_depth(device_id)

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return sum(listener.connection_count for listener in self._listeners)

    def ssl_context(self) -> ssl.SSLContext:
        """Return a new client context that trusts this hub and nothing else."""
        return ssl.create_default_context(cadata=self._authority.ca_pem.decode())

    async def disconnect_all(self) -> None:
        """Drop every connection, as a broken network would, and give back what the clients held.

        Cancellation: the connections still end, without being waited for.
        """
        await asyncio.gather(*(listener.disconnect_all() for listener in self._listeners))

    async def _open(self) -> None:
        auth = Authenticator(self._state, self._policies, {*LOOPBACK, _in_a_string(self.host)}, self.clock.now)
        self._core = HubCore(self._state, auth, self.clock, self._options, host_name=self.host)
        self._core.start()
        doors: dict[bytes, Door] = {b"AMQP": AmqpDoor(self._core), b"\x10": MqttDoor(self._core)}
        context = self._authority.server_context([self.host])
        for port in self._ports:
            listener = Listener(context, doors)
            await listener.open(self._bind, port)
            self._listeners.append(listener)
        self._ca_file = _write_ca_file(self._authority.ca_pem)

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            listeners, self._listeners = self._listeners, []
            await asyncio.gather(*(listener.aclose() for listener in listeners))
        if self._core is not None:
            self._core.stop()
            self._core = None
        if self._ca_file is not None:
            self._ca_file.unlink(missing_ok=True)
            self._ca_file = None

    def _first(self) -> Listener:
        if not self._listeners:
            raise _not_listening()
        return self._listeners[0]

    def _host_name(self) -> str:
        # Official SDKs dial the standard ports, and most of them bear no port in HostName.
        standard = self.ports == (AMQP_PORT, MQTT_PORT)
        host = _in_a_string(self.host)
        return host if standard else f"{host}:{self.port}"


def _in_a_string(host: str) -> str:
    """Return a host as connection strings and tokens have it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _not_listening() -> ClosedError:
    return ClosedError("the hub is not listening; use `async with LocalHub() as hub:`")


def _write_ca_file(pem: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix="c2dkit-hub-", suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return Path(name)
