"""A hub to develop and test against: the queues of IoT Hub behind IoT Hub's own protocols, on this machine."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import anyio

from c2dkit._errors import ClosedError, InvalidInputError
from c2dkit.hub._auth import Authenticator
from c2dkit.hub._certificates import read_authority, thumbprint_of
from c2dkit.hub._clock import HubClock
from c2dkit.hub._core import HubCore
from c2dkit.hub._data import HubData
from c2dkit.hub._event_feed import EventFeed
from c2dkit.hub._identities import Authentication, DeviceSettings
from c2dkit.hub._keys import Keys, is_loopback
from c2dkit.hub._options import HubOptions
from c2dkit.hub._ports import Ports
from c2dkit.hub._tls import TlsContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from c2dkit._errors import HubDataError
    from c2dkit.hub._events import HubEvent
    from c2dkit.hub._fault_injection import InjectedFault
    from c2dkit.hub._faults import Fault
    from c2dkit.hub._identities import Device, Policy, Right
    from c2dkit.hub._issuers import TokenIssuer
    from c2dkit.hub._keys import KeyName

__all__ = ["LocalHub"]

AMQP_PORT: Final = 5671
MQTT_PORT: Final = 8883
HTTPS_PORT: Final = 443
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, and listened on only where the caller says so
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
SERVICE_POLICY: Final = "service"
OWNER_POLICY: Final = "iothubowner"


class LocalHub:
    """A hub with the devices given, listening from ``async with`` until its end.

    Every port takes AMQP, MQTT and HTTPS alike, and AMQP and MQTT through WebSockets, over TLS, and lets nobody in
    without a shared access signature, a certificate of a device or a token of ``issuers``. A hub may be left by another
    task than the one that entered it.

    With a ``data_dir`` a hub outlives its process: devices and keys, policies, certificates, messages, feedback, MQTT
    sessions and the offset of its clock are in the folder, and no client is told anything that is not on the disk.
    Without one nothing is kept.

    Args:
        devices: The ids of the first devices, whose keys are made up; by default ``dev-1``, or none where there is a
            ``registry_file``. Those that are in the folder of ``data_dir`` already stay as they are.
        host: The name or address to listen on, and the one that clients are told. Other machines can reach the hub
            only where this is an address of the network.
        amqp_port: The port in the connection strings; 0 takes a free one.
        mqtt_port: A second port for clients that can dial only the standard ones (5671 and 8883); 0 takes a free one,
            None does without.
        https_port: One more port for such clients, which dial 443 for HTTPS and WebSockets; 0 takes a free one, None
            does without.
        options: Queue limits, times and the like, by default those of IoT Hub.
        issuers: Whose tokens the hub takes from back ends for those of Microsoft Entra ID; by default nobody's.
        registry_file: A file with devices and policies to begin with (see ``docs/registry.md``).
        development_key: Whether every policy, and every device that is not given a key, has the development key, which
            is the same everywhere, and not a random one. Only on loopback.
        data_dir: The folder, of one hub at a time; made where it is missing. By default the hub is in memory only.

    Raises:
        InvalidInputError: A device id breaks IoT Hub's rules, or the development key is asked for on a host that is
            not ``localhost`` or a loopback address, or the registry file is not as it should be.
        OSError: The registry file cannot be read.
    """

    def __init__(
        self,
        *,
        devices: Iterable[str] | None = None,
        host: str = "localhost",
        amqp_port: int = 0,
        mqtt_port: int | None = None,
        https_port: int | None = None,
        options: HubOptions | None = None,
        issuers: Iterable[TokenIssuer] = (),
        registry_file: str | os.PathLike[str] | None = None,
        development_key: bool = False,
        data_dir: Path | None = None,
    ) -> None:
        self.clock: HubClock = HubClock()
        """The hub's clock; ``advance`` makes locks, messages and tokens expire without waiting."""
        self.host: str = "localhost" if host in WILDCARDS else host
        """The host name in the connection strings."""
        self._ports = Ports(host, [port for port in (amqp_port, mqtt_port, https_port) if port is not None])
        self._options = options or HubOptions()
        self._keys = Keys(development=development_key, exposed=not is_loopback(host))
        self._issuers = tuple(issuers)
        self._data = HubData(self._options, self.clock, self._keys)
        self._data_dir = None if data_dir is None else data_dir.absolute()
        self._guard: asyncio.Task[None] | None = None
        self._state = self._data.state
        self._policies = self._data.policies
        self._policies.subscribe(self._on_policy)
        self._trust()
        self._events = EventFeed(self.clock.now)
        self._state.subscribe(self._events.changed)
        self._core: HubCore | None = None
        self._ca_file: Path | None = None
        if registry_file is not None:
            self._read_registry(Path(registry_file))
        elif devices is None:
            devices = ("dev-1",)
        if isinstance(devices, str):
            raise InvalidInputError(f"devices is a list of ids; for one device write devices=[{devices!r}]")
        for device_id in devices or ():
            self._state.add_device(device_id)

    async def __aenter__(self) -> Self:
        """Open the folder of ``data_dir``, and listen.

        Cancellation: safe, nothing stays open.

        Raises:
            HubDataError: The folder is another hub's, or not a hub's, or damaged; nothing of it was changed.
            OSError: A port is taken or may not be used, or the host's address is not one of this machine's.
            InvalidInputError: A device or a policy has the development key, and other machines can reach the hub. Or the
                hub listens already.
        """
        if self._core is not None:
            raise InvalidInputError("the hub listens already")
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop every connection and stop listening.

        Raises:
            HubDataError: The hub had stopped before, for it could not write to its folder. An exception that is under
                way gets it as a note.
        """
        failure = await self._close()
        if failure is None:
            return
        if exc is None:
            raise failure
        exc.add_note(str(failure))

    @property
    def port(self) -> int:
        """The port that the hub listens on, for every protocol."""
        return self.ports[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports: ``port``, and those of ``mqtt_port`` and ``https_port`` where they were asked for."""
        if not self._ports.numbers:
            raise _not_listening()
        return self._ports.numbers

    @property
    def ca_file(self) -> Path:
        """The certificate (PEM) that clients must trust; it is there as long as the hub listens, in a folder for ever."""
        if self._ca_file is None:
            raise _not_listening()
        return self._ca_file

    @property
    def service_connection_string(self) -> str:
        """What a back end connects with: policy ``service``, which may send messages and receive feedback."""
        return self.connection_string(SERVICE_POLICY)

    @property
    def owner_connection_string(self) -> str:
        """What an administrator connects with: policy ``iothubowner``, which may also write the registry, and all else."""
        return self.connection_string(OWNER_POLICY)

    def connection_string(self, policy: str) -> str:
        """What connects with a shared access policy and its primary key.

        Args:
            policy: ``iothubowner``, ``service``, ``device``, ``registryRead``, ``registryReadWrite``, or one that was
                added.

        Raises:
            InvalidInputError: The hub has no such policy.
        """
        key = self._policies.policy(policy).primary_key
        return f"HostName={self._host_name()};SharedAccessKeyName={policy};SharedAccessKey={key}"

    @property
    def status_url(self) -> str:
        """The page for a browser that shows what the hub holds, with the key that opens it, new on every start.

        Whoever has it can read every connection string.
        """
        if self._core is None:
            raise _not_listening()
        return f"https://{_in_a_string(self.host)}:{self.port}/#{self._core.status_key}"

    def device_connection_string(self, device_id: str) -> str:
        """What a device connects with; for one that signs in with a certificate, all but the certificate.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        device = self._state.device(device_id)
        sas = device.authentication is Authentication.SAS
        secret = f"SharedAccessKey={device.primary_key}" if sas else "x509=true"
        return f"HostName={self._host_name()};DeviceId={device_id};{secret}"

    def add_device(
        self,
        device_id: str,
        *,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        certificate_pem: bytes | None = None,
        secondary_certificate_pem: bytes | None = None,
        thumbprints: Iterable[str] = (),
        ca_signed: bool = False,
    ) -> None:
        """Register a device with an empty queue, which signs in with a key of its own or else with a certificate.

        Args:
            device_id: The device.
            primary_key: Base64 of 16 to 64 bytes; made up where it is not given.
            secondary_key: One more that is just as good.
            certificate_pem: The certificate that the device signs in with, which the hub knows by its thumbprint,
                whoever issued it.
            secondary_certificate_pem: One more that is just as good, for the time when the first is replaced.
            thumbprints: Instead of the certificates: one or two, SHA-1 or SHA-256, in hex digits.
            ca_signed: Whether the device signs in with any certificate that has the device id for its common name and
                was issued by an authority of `add_certificate_authority`, or by the hub (`issue_certificate`).

        Raises:
            InvalidInputError: The id breaks IoT Hub's rules, a key or a certificate cannot be used, or the device is to
                sign in in two ways.
            ServiceError: There is such a device (409001).
        """
        pems = [pem for pem in (certificate_pem, secondary_certificate_pem) if pem is not None]
        known = [*map(thumbprint_of, pems), *thumbprints]
        if sum((bool(primary_key or secondary_key), bool(pems), len(known) > len(pems), ca_signed)) > 1:
            raise InvalidInputError("a device signs in in one way: keys, certificates, thumbprints or ca_signed")
        authentication = Authentication.CERTIFICATE_AUTHORITY if ca_signed else Authentication.SAS
        settings = DeviceSettings(
            authentication=Authentication.SELF_SIGNED if known else authentication,
            primary_key=primary_key,
            secondary_key=secondary_key,
            thumbprints=tuple(known),
        )
        self._state.add_device(device_id, settings)

    def remove_device(self, device_id: str) -> None:
        """Delete a device with its queue and drop its connections.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        self._state.remove_device(device_id)

    def rotate_device_key(self, device_id: str, key: KeyName) -> None:
        """Put a random key in the place of a device's ``"primary"`` or ``"secondary"`` one.

        Connections that were made with the key that is gone end at once (inferred).

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        self._state.rotate_key(device_id, key)

    def add_policy(self, name: str, rights: Iterable[Right]) -> None:
        """Add a shared access policy, with random keys or else the development key.

        Raises:
            InvalidInputError: The name is taken or is not 1 to 64 letters, digits and ``_ - @ .``, or the hub has 16.
        """
        self._policies.add(name, rights)

    def rotate_policy_key(self, name: str, key: KeyName) -> None:
        """Put a random key in the place of a policy's ``"primary"`` or ``"secondary"`` one.

        Connections that were made with the key that is gone end at once (inferred).

        Raises:
            InvalidInputError: The hub has no such policy.
        """
        self._policies.rotate(name, key)

    def issue_certificate(self, device_id: str) -> bytes:
        """Return a fresh private key and a certificate for a device, issued by the hub, as the text of one PEM file.

        Raises:
            InvalidInputError: The id is too long for a certificate, which names at most 64 characters.
            ClosedError: The hub has a folder, and has not read its authority yet.
        """
        self._check_authority()
        return self._data.authority.issue_device_certificate(device_id)

    def add_certificate_authority(self, certificate: bytes) -> None:
        """Trust the certificates for devices that the owner of this one (PEM) has signed, directly or through others.

        A device shows the certificates in between in its handshake. What is trusted counts from the next handshake on.

        Raises:
            InvalidInputError: It is no certificate in PEM, or not one of a certificate authority.
        """
        self._tls.add_authority(read_authority(certificate))
        self._data.trust(certificate)

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The devices that are registered, oldest first."""
        return tuple(self._state.devices)

    def disable_device(self, device_id: str) -> None:
        """Refuse a device's connections and messages until it is enabled again; what is queued stays so.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        self._state.set_enabled(device_id, enabled=False)

    def enable_device(self, device_id: str) -> None:
        """Undo `disable_device`.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        self._state.set_enabled(device_id, enabled=True)

    def queue_depth(self, device_id: str) -> int:
        """Return how many messages wait for a device, those that it holds included.

        Raises:
            DeviceNotFoundError: The hub has no such device.
        """
        return self._state.queue_depth(device_id)

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return self._ports.connection_count

    def events(self) -> AbstractContextManager[AsyncIterator[HubEvent]]:
        """Give an iterator over what happens in the hub from now on, in order; it ends when the hub stops.

        It may wait for its next event in one task at a time; to cancel that is safe. 10,000 events wait for a slow
        reader. Beyond that the oldest are lost, and an `EventsMissed` in their place says how many.
        """
        return self._events.stream()

    def inject(self, fault: Fault) -> InjectedFault:
        """Have something go wrong, in its time by the hub's clock; over at the hub's end at the latest.

        Returns:
            What tells how often it has happened, waits for its end and withdraws it.

        Raises:
            ClosedError: The hub is not listening.
            InvalidInputError: There are 1000 faults already.
        """
        if self._core is None:
            raise _not_listening()
        return self._core.faults.inject(fault)

    def ssl_context(self) -> ssl.SSLContext:
        """Return a new client context that trusts this hub and nothing else.

        Raises:
            ClosedError: The hub has a folder, and has not read its certificate yet.
        """
        self._check_authority()
        return ssl.create_default_context(cadata=self._data.authority.ca_pem.decode())

    async def disconnect_all(self) -> None:
        """Drop every connection, as a broken network would, and give back what the clients held.

        Cancellation: the connections still end, without being waited for.
        """
        await self._ports.disconnect_all()

    async def wait_failed(self) -> None:
        """Wait until the hub has stopped because it cannot write to its folder: leaving ``async with`` says why.

        Cancellation: safe.

        Raises:
            ClosedError: The hub does not listen.
        """
        if self._core is None:
            raise _not_listening()
        await self._data.failed.wait()

    async def _open(self) -> None:
        if self._data_dir is not None:
            await self._open_data(self._data_dir)
        self._check_keys()
        auth = Authenticator(
            self._state,
            self._policies.by_name,
            {*LOOPBACK, _in_a_string(self.host)},
            self.clock.now,
            issuers=self._issuers,
        )
        self._core = HubCore(
            self._state, auth, self.clock, self._options, host_name=self.host, events=self._events, front=self
        )
        self._core.start()
        await self._ports.open(self._core, self._data, self._tls)
        if self._data.store is None:
            self._ca_file = _write_ca_file(self._data.authority.ca_pem)
        else:
            self._ca_file = self._data.store.ca_file

    async def _open_data(self, path: Path) -> None:
        await self._data.open(path)
        self._trust()
        self._guard = asyncio.create_task(self._stop_when_failed())

    def _trust(self) -> None:
        """Begin anew with the handshakes: with the hub's own authority and those that are trusted."""
        self._tls = TlsContext()
        self._data.authority.certify(self._tls.openssl, [self.host])
        for pem in (self._data.authority.ca_pem, *self._data.authorities):
            self._tls.add_authority(read_authority(pem))

    def _check_authority(self) -> None:
        if self._data_dir is not None and self._data.store is None:
            raise _not_listening()

    async def _stop_when_failed(self) -> None:
        await self._data.failed.wait()
        await self._ports.close()

    async def _close(self) -> HubDataError | None:
        failure: HubDataError | None = None
        with anyio.CancelScope(shield=True):
            await self._ports.close()
            if self._core is not None:
                self._core.stop()
                self._core = None
            self._events.end_streams()
            failure = await self._data.close()
            await self._dismiss_guard(failed=failure is not None)
        if self._ca_file is not None and self._data_dir is None:
            self._ca_file.unlink(missing_ok=True)
        self._ca_file = None
        return failure

    async def _dismiss_guard(self, *, failed: bool) -> None:
        if self._guard is not None:
            if not failed:
                self._guard.cancel()
            await asyncio.wait([self._guard])
            self._guard = None

    def _check_keys(self) -> None:
        """Refuse to listen with a key that the hub may not have, however it came to it."""
        owners: list[tuple[str, Device | Policy]] = [*self._state.devices.items(), *self._policies.by_name.items()]
        for name, owner in owners:
            try:
                self._keys.check(owner.primary_key)
                self._keys.check(owner.secondary_key)
            except InvalidInputError as error:
                raise InvalidInputError(f"{name}: {error}") from error

    def _read_registry(self, path: Path) -> None:
        from c2dkit.hub._registry_file import RegistryFile  # noqa: PLC0415 - its models take a moment to build

        RegistryFile.load(path, self._keys).apply(self._state, self._policies)

    def _on_policy(self, _: Policy) -> None:
        if self._core is not None:
            self._core.connections.reauthorize_all()

    def _host_name(self) -> str:
        # Official SDKs dial the standard ports, and most of them bear no port in HostName.
        standard = self.ports in ((AMQP_PORT, MQTT_PORT), (AMQP_PORT, MQTT_PORT, HTTPS_PORT))
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
