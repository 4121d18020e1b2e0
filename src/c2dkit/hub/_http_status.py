"""The status page over HTTP: the page itself, in which there is no secret, and its data, for whoever has the key.

The key stands in the page's address behind ``#``, where a browser keeps it to itself, and comes back in a header. A
page of somebody else's that a browser shows beside this one cannot know it. That one may not come by the data under a
name of its own that it has pointed at this machine (DNS rebinding), the ``Host`` header is looked at too.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from datetime import datetime
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from c2dkit._errors import UnauthorizedError
from c2dkit.hub._http_request import Reply
from c2dkit.hub._status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from c2dkit.hub._core import HubCore
    from c2dkit.hub._http_request import Request

__all__ = ["StatusPage"]

SCHEME: Final = "Bearer "

PAGE: Final = "index.html"
CONTENT_TYPES: Final[Mapping[str, str]] = {
    PAGE: "text/html; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
    "status.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files of the page; nothing else in their folder is sent."""

CONTENT_SECURITY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class StatusPage:
    """The addresses ``/`` and below ``/$c2dkit``."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def methods(self, segments: tuple[str, ...]) -> Mapping[str, Callable[[Request], Reply]]:
        """Return what can be done at an address; nothing where it is none of the page's."""
        match segments:
            case ("",):
                return {"GET": partial(self._file, PAGE)}
            case ("$c2dkit", "status"):
                return {"GET": self._read}
            case ("$c2dkit", name) if name in CONTENT_TYPES:
                return {"GET": partial(self._file, name)}
            case _:
                return {}

    def _file(self, name: str, request: Request) -> Reply:
        self._check_host(request)
        content = files("c2dkit.hub").joinpath("status", name).read_bytes()
        return Reply(200, {"Content-Type": CONTENT_TYPES[name], **HEADERS}, content)

    def _read(self, request: Request) -> Reply:
        self._check_host(request)
        shown = (request.authorization or "").removeprefix(SCHEME).encode(errors="surrogateescape")
        if not secrets.compare_digest(shown, self._core.status_key.encode()):
            raise UnauthorizedError("the status needs the key of the address that the hub gave when it started")
        request.granted = True  # the page asks every second on one connection: more than a stranger may send
        body = json.dumps(status_of(self._core), default=datetime.isoformat).encode()
        return Reply(200, {"Content-Type": "application/json; charset=utf-8", **HEADERS}, body)

    def _check_host(self, request: Request) -> None:
        if not _is_own_name(request.host, self._core.front.host):
            raise UnauthorizedError(f"open the status page as https://{self._core.front.host}, not by another name")


def _is_own_name(header: str, own: str) -> bool:
    """Whether a ``Host`` header names this hub, or an address in figures, which nobody can point elsewhere."""
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    return name in ("localhost", own.lower()) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
