"""An HTTP proxy, and the tunnel that it opens (CONNECT, RFC 9110 section 9.3.6).

No environment variable is read, neither ``HTTPS_PROXY`` nor its kin: a proxy learns whom a device talks to and can cut it
off, so the application names it, and no variable that was set for another program does.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypedDict, cast
from urllib.parse import unquote

import anyio

from c2dkit._errors import ConnectError, InvalidInputError

if TYPE_CHECKING:
    from anyio.abc import ByteStream

__all__ = ["AiohttpProxy", "Proxy", "aiohttp_proxy", "host_and_port", "open_tunnel", "why_not_connected"]

MAX_ANSWER_BYTES: Final = 16_384
"""How long a proxy's answer may be, up to the empty line at its end."""

_HEADERS_END: Final = b"\r\n\r\n"
# tinyproxy answers 401 where credentials are wrong, and 407 only where there are none.
_CREDENTIALS: Final = frozenset({HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.UNAUTHORIZED})
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")
_TRANSIENT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_URL: Final = re.compile(
    r"http://"
    r"(?:(?P<user>[^\s:@/?#]*)(?::(?P<password>[^\s@/?#]*))?@)?"
    r"(?P<host>[A-Za-z0-9_.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r":(?P<port>[0-9]{1,5})/?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and who asks it; made by ``from_url``.

    Attributes:
        host: A name or an address, an IPv6 address without brackets.
        port: Its TCP port.
        username: Who asks, or None where the proxy asks nobody.
        password: The password for it.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str) -> Proxy:
        """Read ``http://host:port`` or ``http://user:password@host:port``.

        User name and password are percent-decoded (RFC 3986), so an ``@`` in one is written ``%40``. They travel to
        the proxy in clear text.

        Raises:
            InvalidInputError: It is no such URL. The text shows nothing of it.
        """
        match = _URL.fullmatch(url)
        if match is None or not 1 <= int(match["port"]) <= 65_535:
            raise InvalidInputError(
                "proxy is not of the form http://host:port or http://user:password@host:port; the port is needed, "
                "other schemes are not supported, and /, ?, #, @ and spaces in user name and password are "
                "percent-encoded"
            )
        username, password = match["user"], match["password"]
        if username is not None:
            username, password = unquote(username), unquote(password or "")
            # RFC 7617, section 2: neither may hold a control character, nor the user name a colon.
            if ":" in username or _CONTROL.search(username + password):
                raise InvalidInputError("the proxy's user name or password has a character that HTTP cannot carry")
        return cls(match["host"].strip("[]"), int(match["port"]), username, password)

    @property
    def address(self) -> str:
        """Host and port, as URLs and errors have them."""
        return host_and_port(self.host, self.port)

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` (RFC 7617, UTF-8), a secret; None without a user name."""
        if self.username is None:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class AiohttpProxy(TypedDict, total=False):
    """The keyword arguments that send one request of aiohttp through a proxy."""

    proxy: str
    proxy_headers: dict[str, str]


def aiohttp_proxy(proxy: Proxy | None) -> AiohttpProxy:
    """Return the arguments for aiohttp; none without a proxy."""
    if proxy is None:
        return {}
    arguments: AiohttpProxy = {"proxy": f"http://{proxy.address}"}
    if proxy.authorization is not None:
        # Not in the URL, which aiohttp shows in its errors.
        arguments["proxy_headers"] = {"Proxy-Authorization": proxy.authorization}
    return arguments


async def open_tunnel(proxy: Proxy, host: str, port: int) -> ByteStream:
    """Connect to the proxy and have it connect to ``host`` and ``port``; the bytes are theirs from then on.

    Has no time limit of its own.

    Cancellation: safe, nothing stays open.

    Raises:
        ConnectError: There is no way to the proxy, or it refused, or what it answered is not HTTP.
    """
    try:
        stream = await anyio.connect_tcp(proxy.host, proxy.port)
    except OSError as error:
        raise ConnectError(f"cannot connect to the proxy {proxy.address}: {why_not_connected(error)}") from error
    try:
        await _connect(stream, proxy, host_and_port(host, port))
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        await anyio.aclose_forcefully(stream)
        raise ConnectError(f"the proxy {proxy.address} ended the connection without an answer") from error
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


def why_not_connected(error: Exception) -> str:
    """Return what the operating system says: anyio says only that it has tried every address, and has that as cause."""
    cause: BaseException | None = error.__cause__
    if isinstance(cause, ExceptionGroup):
        cause = cast("ExceptionGroup[Exception]", cause).exceptions[0]
    if isinstance(error, OSError) and error.errno is None and isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(error) or type(error).__name__


async def _connect(stream: ByteStream, proxy: Proxy, target: str) -> None:
    await stream.send(_request(proxy, target))
    answer, _, rest = (await _answer(stream, proxy)).partition(_HEADERS_END)
    status = _STATUS_LINE.match(answer + b"\r")
    if status is None:
        raise ConnectError(f"{proxy.address} does not answer like an HTTP proxy", transient=False)
    _check_status(int(status[1]), proxy, target)
    if rest:  # a hub says nothing before it is greeted, so this is no tunnel
        raise ConnectError(f"the proxy {proxy.address} sent more than its answer", transient=False)


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _answer(stream: ByteStream, proxy: Proxy) -> bytes:
    answer = b""
    while _HEADERS_END not in answer:
        if len(answer) >= MAX_ANSWER_BYTES:
            raise ConnectError(f"the answer of the proxy {proxy.address} is too long", transient=False)
        answer += await stream.receive(MAX_ANSWER_BYTES)
    return answer


def _check_status(status: int, proxy: Proxy, target: str) -> None:
    if 200 <= status < 300:
        return
    if status not in _CREDENTIALS:
        problem = f"refused to connect to {target}"
    elif proxy.username is None:
        problem = "asks for a user name and a password, given in proxy= as http://user:password@host:port"
    else:
        problem = "refused the user name or password of proxy="
    transient = status >= 500 or status in _TRANSIENT
    raise ConnectError(f"the proxy {proxy.address} {problem} (HTTP {status})", transient=transient)


def host_and_port(host: str, port: int) -> str:
    """Join the two as URLs and HTTP have them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
