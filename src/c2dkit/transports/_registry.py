"""Finds a transport by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from c2dkit._errors import TransportUnavailableError
from c2dkit.transports._amqp import AmqpDeviceTransport, AmqpServiceTransport
from c2dkit.transports._mqtt import MqttDeviceTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit.transports._ports import DeviceTransport, ServiceTransport

__all__ = ["device_transport", "service_transport"]

DEVICE: Final[Mapping[str, Callable[..., DeviceTransport]]] = {"amqp": AmqpDeviceTransport, "mqtt": MqttDeviceTransport}
SERVICE: Final[Mapping[str, Callable[..., ServiceTransport]]] = {"amqp": AmqpServiceTransport}


def device_transport(name: str, credential: DeviceCredential, *, ssl_context: ssl.SSLContext | None) -> DeviceTransport:
    """Make the device transport of that name; raises TransportUnavailableError."""
    if name not in DEVICE:
        raise _unknown("a device", name, DEVICE)
    return DEVICE[name](credential, ssl_context=ssl_context)


def service_transport(
    name: str, credential: ServiceCredential, *, ssl_context: ssl.SSLContext | None
) -> ServiceTransport:
    """Make the service transport of that name; raises TransportUnavailableError."""
    if name not in SERVICE:
        raise _unknown("a back end", name, SERVICE)
    return SERVICE[name](credential, ssl_context=ssl_context)


def _unknown(side: str, name: str, known: Iterable[str]) -> TransportUnavailableError:
    return TransportUnavailableError(f"{name!r} is no transport for {side}; there is {', '.join(sorted(known))}")
