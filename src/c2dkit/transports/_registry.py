"""Finds transports by name: those that c2dkit brings, and those of other distributions.

Another distribution adds one through the entry-point group ``c2dkit.transports``: the entry point has the transport's
name and points to a ``TransportPlugin``.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Final

from c2dkit._errors import InvalidInputError, TransportUnavailableError
from c2dkit.transports._own import OWN
from c2dkit.transports._plugin import TransportInfo, TransportPlugin

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint

    from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
    from c2dkit.transports._plugin import DeviceFactory, ServiceFactory
    from c2dkit.transports._ports import DeviceTransport, ServiceTransport

__all__ = ["available", "device_transport", "refuse_text", "service_transport"]

GROUP: Final = "c2dkit.transports"


def available() -> Sequence[TransportInfo]:
    """Return what is known of every transport that has a name here, whether it can be used or not, sorted by name.

    An entry point that cannot be loaded is among them, and ``missing`` says why. Other distributions cannot take the
    names of c2dkit's own transports.
    """
    return [_info(name, plugin) for name, plugin in sorted(_plugins().items())]


def device_transport(
    transport: str | DeviceTransport | DeviceFactory,
    credential: DeviceCredential,
    *,
    ssl_context: ssl.SSLContext | None,
    proxy: str | None,
) -> DeviceTransport:
    """Make the device transport of that name or with that factory; an object that is a transport is returned as it is.

    Raises:
        TransportUnavailableError: There is no such transport, or it cannot be used here.
        InvalidInputError: ``ssl_context`` or ``proxy`` cannot be honoured.
    """
    if isinstance(transport, str):
        factory = _plugin(transport).device
        if factory is None:
            raise _wrong_side(transport, "a device", [name for name, each in _plugins().items() if each.device])
    elif callable(transport):
        factory = transport
    else:
        _check_settled(transport.name, ssl_context, proxy)
        return transport
    return factory(credential, ssl_context=ssl_context, proxy=proxy)


def service_transport(
    transport: str | ServiceTransport | ServiceFactory,
    credential: ServiceCredential,
    *,
    ssl_context: ssl.SSLContext | None,
    proxy: str | None,
) -> ServiceTransport:
    """Make the service transport; arguments and errors as for ``device_transport``."""
    if isinstance(transport, str):
        factory = _plugin(transport).service
        if factory is None:
            raise _wrong_side(transport, "a back end", [name for name, each in _plugins().items() if each.service])
    elif callable(transport):
        factory = transport
    else:
        _check_settled(transport.name, ssl_context, proxy)
        return transport
    return factory(credential, ssl_context=ssl_context, proxy=proxy)


def refuse_text(transport: object, owner: type) -> None:
    """Refuse a text where an object is wanted: a connection string, or the name of a transport.

    Raises:
        InvalidInputError: It is one.
    """
    if isinstance(transport, str):
        name = owner.__name__
        raise InvalidInputError(
            f"{name}(...) takes a transport object; {name}.from_connection_string(...) takes a connection string and, as "
            "transport=, a name"
        )


def _plugins() -> Mapping[str, TransportPlugin]:
    entries = importlib.metadata.entry_points(group=GROUP)
    return {entry.name: _load(entry) for entry in entries if entry.name not in OWN} | dict(OWN)


def _load(entry: EntryPoint) -> TransportPlugin:
    try:
        plugin: object = entry.load()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the other transports can be used
        text = f"its entry point {entry.value} cannot be loaded: {type(error).__name__}: {error}"
        return TransportPlugin(missing=lambda: text)
    if not isinstance(plugin, TransportPlugin):
        return TransportPlugin(missing=lambda: f"its entry point {entry.value} is no TransportPlugin")
    return plugin


def _plugin(name: str) -> TransportPlugin:
    plugins = OWN if name in OWN else _plugins()
    if name not in plugins:
        raise TransportUnavailableError(f"there is no transport {name!r}; there is {', '.join(sorted(plugins))}")
    missing = plugins[name].missing()
    if missing is not None:
        raise TransportUnavailableError(f"the transport {name!r} cannot be used here: {missing}")
    return plugins[name]


def _info(name: str, plugin: TransportPlugin) -> TransportInfo:
    return TransportInfo(
        name=name,
        settlements=plugin.settlements if plugin.device else None,
        operations=plugin.operations if plugin.service else None,
        missing=plugin.missing(),
    )


def _wrong_side(name: str, side: str, names: Sequence[str]) -> TransportUnavailableError:
    return TransportUnavailableError(f"{name!r} is no transport for {side}; there is {', '.join(sorted(names))}")


def _check_settled(name: str, ssl_context: ssl.SSLContext | None, proxy: str | None) -> None:
    if ssl_context is not None or proxy is not None:
        raise InvalidInputError(f"the {name} transport is made already: give ssl_context and proxy to the transport")
