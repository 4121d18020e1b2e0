"""One HTTP session with a hub: bounded, authenticated, and honest about what became of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from yarl import URL

from c2dkit._clock import SYSTEM_CLOCK
from c2dkit._errors import C2dError, PeerProtocolError, UnauthorizedError
from c2dkit._proxy import Proxy, aiohttp_proxy, host_and_port
from c2dkit._rules.limits import MESSAGE_BYTES, PROPERTIES
from c2dkit._tls import client_context
from c2dkit._wire.http_errors import error_from_http
from c2dkit._wire.https import API_VERSION
from c2dkit.transports._https_connector import BoundedConnector
from c2dkit.transports._https_errors import RAISED, error_from_aiohttp
from c2dkit.transports._tokens import token_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from datetime import datetime
    from types import SimpleNamespace

    from c2dkit._clock import Clock
    from c2dkit._rules.credentials import Credential
    from c2dkit.transports._tokens import HubToken

__all__ = ["CONNECT_SECONDS", "REQUEST_SECONDS", "Answer", "HttpsClient"]

PORT: Final = 443
UNAUTHORIZED: Final = 401
CONNECTIONS: Final = 4
"""Connections that one session keeps: one to poll, the others to settle."""
CONNECT_SECONDS: Final = 30.0
"""How long a request may wait for a connection, TLS handshake and a free one of ``CONNECTIONS`` included."""
REQUEST_SECONDS: Final = 45.0
"""How long a request may take from its beginning to the last byte of the answer."""
MAX_HEADERS: Final = PROPERTIES + 64
MAX_HEADER_BYTES: Final = MESSAGE_BYTES + 1024
"""One header may hold a property as large as a whole message."""

HEADERS: Final = {"User-Agent": "c2dkit", "Accept-Encoding": "identity"}


class Answer(NamedTuple):
    """A success: 200 with a body, or 204 without one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Attempt:
    """One request: whether its bytes have left, and whether they may leave twice."""

    def __init__(self, *, once: bool) -> None:
        self.once = once
        self.sent = False


class HttpsClient:
    """Sends requests to one hub over connections that it keeps open for the next request.

    Made within a running event loop; ``close`` it. Redirects are not followed, cookies not kept, nothing is
    decompressed and no environment variable is read, so credentials and memory stay where they belong.

    Args:
        credential: Who asks. The token is made anew when its time to renew has come, or when the hub has refused it.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: Who makes the connections, or None.
        clock: What time tokens go by.
    """

    def __init__(
        self,
        credential: Credential,
        *,
        ssl_context: ssl.SSLContext | None,
        proxy: Proxy | None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        host, port = credential.dial
        self.host = host_and_port(host, port or PORT)
        self._origin = URL.build(scheme="https", host=host, port=port or PORT)
        self._clock = clock
        self._authorization = _Authorization(credential, clock)
        self._proxy = aiohttp_proxy(proxy)
        context = client_context(credential, ssl_context)
        self._session = aiohttp.ClientSession(
            connector=BoundedConnector(ssl=context, limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=CONNECT_SECONDS),
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_headers=MAX_HEADERS,
            max_field_size=MAX_HEADER_BYTES,
            trace_configs=[_tracing()],
        )

    async def request(
        self, method: str, path: str, *, query: str = "", max_bytes: int, changes: bool, doing: str
    ) -> Answer:
        """Send one request and return the answer if it is a success.

        It is sent again, with a fresh token, where the hub no longer takes one that it took before.

        Args:
            method: The method.
            path: The path, percent-encoded.
            query: What the query has besides ``api-version``.
            max_bytes: How large the answer's body may be.
            changes: Whether the hub does something that a second request would not do again; then aiohttp may not
                repeat the request when a kept connection turns out to be dead.
            doing: What is being done, for the text of errors.

        Cancellation: the hub may or may not have done it.

        Raises:
            ConnectError: No connection could be made; nothing was sent.
            ConnectionLostError: The connection ended before the answer was complete, and ``changes`` is False.
            OutcomeUnknownError: The same, and ``changes`` is True.
            PeerProtocolError: The answer is not HTTP, or too large, and ``changes`` is False.
            C2dError: What the hub answered.
        """
        url = self._url(path, query)
        known = self._authorization.known_good
        answer = await self._exchange(method, url, max_bytes, doing, changes=changes)
        if answer.status == UNAUTHORIZED and known:
            # The token was good once, so it has ended by the hub's clock, or the key is another now. The hub has done
            # nothing; with a fresh token its word is final, as it is on a connection.
            self._authorization.forget()
            answer = await self._exchange(method, url, max_bytes, doing, changes=changes)
        if answer.status not in (200, 204):
            raise self._refusal(answer, doing)
        self._authorization.known_good = True
        return answer

    def _refusal(self, answer: Answer, doing: str) -> C2dError:
        error = error_from_http(
            answer.status, answer.headers, answer.body, doing=f"the hub refused {doing}", now=self._clock.now()
        )
        if isinstance(error, UnauthorizedError):
            self._authorization.forget()
        return error

    def _url(self, path: str, query: str) -> URL:
        parameters = f"api-version={API_VERSION}&{query}" if query else f"api-version={API_VERSION}"
        return URL(f"{self._origin}{path}?{parameters}", encoded=True)

    async def _exchange(self, method: str, url: URL, max_bytes: int, doing: str, *, changes: bool) -> Answer:
        attempt = _Attempt(once=changes)
        error: C2dError
        try:
            async with self._session.request(
                method,
                url,
                headers=await self._authorization.headers(),  # no variable, which a traceback may show with its value
                allow_redirects=False,
                trace_request_ctx=attempt,
                **self._proxy,
            ) as response:
                body = await _read(response, max_bytes, self.host)
                return Answer(response.status, response.headers, body)
        except RAISED as failure:
            error = error_from_aiohttp(failure, host=self.host, sent=attempt.sent, changes=changes, doing=doing)
        raise error  # out of the except block, so that aiohttp's own, with the request's headers, is not its context

    async def close(self) -> None:
        """Close the connections; requests under way fail. Idempotent."""
        await self._session.close()


class _Authorization:
    """The header that says who asks, with a token that is used until its time to renew.

    Attributes:
        known_good: Whether the hub has taken the token.
    """

    def __init__(self, credential: Credential, clock: Clock) -> None:
        self._credential = credential
        self._clock = clock
        self._token: HubToken | None = None
        self.known_good = False

    async def headers(self) -> dict[str, str]:
        now = self._clock.now()
        if self._token is None or now >= self._token.renew_at:
            self._token = await self._fresh(now)
        # Without a token the certificate of the TLS handshake says it.
        return {} if self._token is None else {"Authorization": self._token.text}

    async def _fresh(self, now: datetime) -> HubToken | None:
        try:
            return await token_for(self._credential, now)
        except C2dError:
            if self._token is None or now >= self._token.expires_at:
                raise
            return self._token  # good for a while; the next request tries again

    def forget(self) -> None:
        """Take another token the next time: the hub does not take this one."""
        self._token = None
        self.known_good = False


async def _read(response: aiohttp.ClientResponse, max_bytes: int, host: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise PeerProtocolError(f"{host} sent an answer of more than {max_bytes} bytes")
    return bytes(body)


def _tracing() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_before_headers)
    return tracing


async def _before_headers(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    """Remember that bytes leave; aiohttp calls this when it has a connection and is about to write."""
    attempt = context.trace_request_ctx
    assert isinstance(attempt, _Attempt)  # noqa: S101 - every request of the session has one
    if attempt.sent and attempt.once:
        # aiohttp repeats a DELETE whose connection was lost, and the hub would answer the second one that the lock is
        # gone, when it was the first that has settled the message.
        raise aiohttp.ServerDisconnectedError
    attempt.sent = True
