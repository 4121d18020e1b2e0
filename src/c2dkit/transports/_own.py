"""The transports that c2dkit brings, by name; what needs an extra is imported when it is made."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from c2dkit._errors import TransportUnavailableError
from c2dkit._rules.settlement import Settlement
from c2dkit.transports._amqp import AmqpDeviceTransport, AmqpServiceTransport
from c2dkit.transports._foreign import NO_UAMQP, UAMQP_ENDS
from c2dkit.transports._https import HttpsDeviceTransport, HttpsServiceTransport
from c2dkit.transports._mqtt import MqttDeviceTransport
from c2dkit.transports._plugin import TransportPlugin
from c2dkit.transports._ports import ServiceOperation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from c2dkit._rules.credentials import DeviceCredential
    from c2dkit.transports._plugin import DeviceFactory, ServiceFactory
    from c2dkit.transports._ports import DeviceTransport

__all__ = ["OWN"]


def _lazy(module: str, name: str) -> Callable[..., object]:
    def make(*args: object, **kwargs: object) -> object:
        return getattr(importlib.import_module(f"c2dkit.transports.{module}"), name)(*args, **kwargs)

    return make


def _needs(*distributions: str, extra: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [name for name in distributions if not _is_installed(name)]
        if "uamqp" in absent and sys.version_info >= UAMQP_ENDS:
            return NO_UAMQP
        if absent:
            return f"{' and '.join(absent)} must be installed: pip install 'c2dkit[{extra}]'"
        return None

    return missing


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _wrap_a_client(credential: DeviceCredential, /, **_: object) -> DeviceTransport:
    raise TransportUnavailableError(
        "azure-iot-device receives through a client that the application already holds, so its name does not do: "
        f"pass transport=AzureIotDeviceTransport(client) with the client of {credential.device_id!r}"
    )


OWN: Final[Mapping[str, TransportPlugin]] = {
    "amqp": TransportPlugin(
        device=AmqpDeviceTransport,
        settlements=AmqpDeviceTransport.settlements,
        service=AmqpServiceTransport,
        operations=AmqpServiceTransport.operations,
    ),
    "amqp-ws": TransportPlugin(
        device=partial(AmqpDeviceTransport, websocket=True),
        settlements=AmqpDeviceTransport.settlements,
        service=partial(AmqpServiceTransport, websocket=True),
        operations=AmqpServiceTransport.operations,
    ),
    "azure-iot-device": TransportPlugin(
        device=_wrap_a_client,
        missing=_needs("azure-iot-device", extra="azure"),
    ),
    "azure-iot-hub": TransportPlugin(
        service=cast("ServiceFactory", _lazy("_azure_iot_hub", "AzureIotHubServiceTransport")),
        operations=frozenset(ServiceOperation),
        missing=_needs("azure-iot-hub", "uamqp", extra="azure"),
    ),
    "https": TransportPlugin(
        device=HttpsDeviceTransport,
        settlements=HttpsDeviceTransport.settlements,
        service=HttpsServiceTransport,
        operations=HttpsServiceTransport.operations,
    ),
    "mqtt": TransportPlugin(
        device=MqttDeviceTransport,
        settlements=MqttDeviceTransport.settlements,
    ),
    "mqtt-ws": TransportPlugin(
        device=partial(MqttDeviceTransport, websocket=True),
        settlements=MqttDeviceTransport.settlements,
    ),
    "uamqp": TransportPlugin(
        device=cast("DeviceFactory", _lazy("_uamqp", "UamqpDeviceTransport")),
        settlements=frozenset(Settlement),
        service=cast("ServiceFactory", _lazy("_uamqp", "UamqpServiceTransport")),
        operations=frozenset(ServiceOperation),
        missing=_needs("uamqp", extra="uamqp"),
    ),
}
