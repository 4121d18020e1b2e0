"""Every transport of c2dkit as a leg of the contract suite."""

from __future__ import annotations

import gc
import ssl
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import pytest
from anyio import to_thread
from c2dkit_in_memory.contract import InMemoryDeviceLeg, InMemoryServiceLeg

from c2dkit.testing.contract import DeviceLeg, Reason, ServiceLeg, no_standard_hub, standard_hub
from c2dkit.transports import HttpsDeviceTransport, HttpsServiceTransport, PollingInterval, available
from c2dkit.transports._azure_iot_device import AzureIotDeviceTransport
from c2dkit.transports._azure_iot_hub import AzureIotHubServiceTransport
from c2dkit.transports._foreign import load
from c2dkit.transports._registry import device_transport, service_transport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from c2dkit import DeviceCredential, ServiceCredential
    from c2dkit.transports import DeviceTransport, ServiceTransport

__all__ = ["DEVICE_LEGS", "SERVICE_LEGS"]

AMQP: Final = frozenset({Reason.LOCK_TIME, Reason.HUB_PROPERTIES, Reason.VALUELESS})
MQTT: Final = frozenset({Reason.NO_LOCK_TIME, Reason.NO_HUB_PROPERTIES, Reason.VALUELESS, Reason.NO_CREDIT})
HTTPS: Final = frozenset({Reason.LOCK_TIME, Reason.HUB_PROPERTIES, Reason.NO_VALUELESS, Reason.NO_CONNECTION})
POLLING: Final = PollingInterval.every(timedelta(milliseconds=1))


class Client(Protocol):
    """What is used of an ``IoTHubDeviceClient``."""

    def shutdown(self) -> None: ...


@cache
def missing(name: str) -> str | None:
    """Return why a transport cannot be used here."""
    return next((info.missing for info in available() if info.name == name), "there is no such transport")


def context(trust: Path | None) -> ssl.SSLContext:
    """Return a client context that trusts this authority only."""
    return ssl.create_default_context(cafile=trust)


class NamedDeviceLeg(DeviceLeg):
    """A transport that is made by its name."""

    def __init__(self, name: str, lacks: frozenset[Reason]) -> None:
        self.name = name
        self.lacks = lacks

    def missing(self) -> str | None:
        return missing(self.name)

    def transport(self, credential: DeviceCredential, trust: Path | None) -> DeviceTransport:
        return device_transport(self.name, credential, ssl_context=context(trust), proxy=None)


class NamedServiceLeg(ServiceLeg):
    """A transport that is made by its name."""

    def __init__(self, name: str, lacks: frozenset[Reason] = frozenset()) -> None:
        self.name = name
        self.lacks = lacks

    def missing(self) -> str | None:
        return missing(self.name)

    def transport(self, credential: ServiceCredential, trust: Path | None) -> ServiceTransport:
        return service_transport(self.name, credential, ssl_context=context(trust), proxy=None)


class HttpsDeviceLeg(NamedDeviceLeg):
    """HTTPS, asking anew as soon as an answer was empty."""

    def transport(self, credential: DeviceCredential, trust: Path | None) -> DeviceTransport:
        return HttpsDeviceTransport(credential, ssl_context=context(trust), polling=POLLING)


class HttpsServiceLeg(NamedServiceLeg):
    """HTTPS, likewise."""

    def transport(self, credential: ServiceCredential, trust: Path | None) -> ServiceTransport:
        return HttpsServiceTransport(credential, ssl_context=context(trust), polling=POLLING)


def new_client(credential: DeviceCredential, trust: Path | None) -> Client:
    """Make a client of azure-iot-device."""
    assert trust is not None
    package = load("azure.iot.device", transport="azure-iot-device", extra="azure")
    client: Client = package.IoTHubDeviceClient.create_from_symmetric_key(
        credential.shared_access_key,
        credential.host_name,
        credential.device_id,
        server_verification_cert=trust.read_text("utf-8"),
        connection_retry_interval=1,
    )
    return client


class AzureIotDeviceLeg(DeviceLeg):
    """A client of the package azure-iot-device, made as an application makes it."""

    name = "azure-iot-device"
    lacks = MQTT | {Reason.SETTLES_ITSELF, Reason.RECONNECTS, Reason.OWN_CREDENTIALS, Reason.NO_ADDRESS}
    hubs = (standard_hub,)
    # What that package does when a client is made, and what paho-mqtt 1.6.1 does when a connection ends.
    warnings = (
        "ignore:ssl.PROTOCOL_TLSv1_2:DeprecationWarning",
        "ignore:.*(socket.socket|ssl.SSLSocket) fd:pytest.PytestUnraisableExceptionWarning",
    )

    def __init__(self) -> None:
        self._clients: dict[tuple[DeviceCredential, Path | None], Client] = {}

    def missing(self) -> str | None:
        return missing(self.name) or no_standard_hub()

    def transport(self, credential: DeviceCredential, trust: Path | None) -> DeviceTransport:
        key = credential, trust
        if key not in self._clients:  # an application has one client for a device
            self._clients[key] = new_client(*key)
        return AzureIotDeviceTransport(self._clients[key])

    async def aclose(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await to_thread.run_sync(client.shutdown)
        gc.collect()  # or the sockets that paho-mqtt leaves open would be a later test's


class AzureIotHubLeg(ServiceLeg):
    """The package azure-iot-hub, which trusts what certifi and the environment name."""

    name = "azure-iot-hub"
    lacks = frozenset({Reason.NO_CONNECTION, Reason.NO_USER_ID, Reason.UNTOLD, Reason.OWN_CREDENTIALS, Reason.PATIENT})
    hubs = (standard_hub,)

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()

    def missing(self) -> str | None:
        return missing(self.name) or no_standard_hub()

    def transport(self, credential: ServiceCredential, trust: Path | None) -> ServiceTransport:
        self._patch.setattr(load("certifi", transport=self.name, extra="azure"), "where", lambda: str(trust))
        self._patch.setenv("REQUESTS_CA_BUNDLE", str(trust))
        return AzureIotHubServiceTransport(replace(credential, port=None), polling=POLLING)

    async def aclose(self) -> None:
        self._patch.undo()


DEVICE_LEGS: Final[Sequence[DeviceLeg]] = (
    NamedDeviceLeg("amqp", AMQP),
    NamedDeviceLeg("amqp-ws", AMQP),
    NamedDeviceLeg("mqtt", MQTT),
    NamedDeviceLeg("mqtt-ws", MQTT),
    HttpsDeviceLeg("https", HTTPS),
    AzureIotDeviceLeg(),
    NamedDeviceLeg("uamqp", AMQP | {Reason.UNCONFIRMED}),
    InMemoryDeviceLeg(),
)
SERVICE_LEGS: Final[Sequence[ServiceLeg]] = (
    NamedServiceLeg("amqp"),
    NamedServiceLeg("amqp-ws"),
    HttpsServiceLeg("https", frozenset({Reason.NO_CONNECTION, Reason.NO_SEND})),
    NamedServiceLeg("uamqp"),
    AzureIotHubLeg(),
    InMemoryServiceLeg(),
)
