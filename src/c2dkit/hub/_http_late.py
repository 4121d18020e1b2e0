"""The HTTP door, made when the first connection comes to it.

aiohttp, which is behind it, is a quarter of the memory of a hub and of the time to import one; a hub that hears
nothing but AMQP and MQTT does without.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.abc import ByteStream

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._listener import Door, Visit

__all__ = ["FIRST_BYTES", "late_http_door"]

FIRST_BYTES: Final = (b"GET ", b"POST", b"PUT ", b"DELE", b"PATC", b"HEAD")


def late_http_door(core: HubCore, tunnels: Mapping[str, Door]) -> Door:
    """Return a door that leads to an ``HttpDoor``, with the same arguments."""

    @cache
    def door() -> Door:
        from c2dkit.hub._http import HttpDoor  # noqa: PLC0415 - see the module

        return HttpDoor(core, tunnels)

    def enter(stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None], /) -> Visit:
        return door()(stream, initial, on_closed)

    return enter
