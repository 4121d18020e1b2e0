"""A back end that speaks to the registry over HTTPS, for the tests of this folder."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import anyio
from yarl import URL

from c2dkit import ServiceCredential

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from c2dkit.hub import LocalHub


class Answer(NamedTuple):
    status: int
    error: str | None
    json: Any

    @property
    def text(self) -> str:
        """The words of an error, whose name header and body agree on."""
        name, _, text = self.json["Message"].removeprefix("ErrorCode:").partition(";")
        assert name == self.error
        assert re.match(r"Tracking ID:[0-9a-f]{32}", self.json["ExceptionMessage"])
        return str(text)


class RegistryClient:
    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._token = token

    async def ask(
        self, method: str, path: str, document: object = None, *, if_match: str | None = None, body: bytes | None = None
    ) -> Answer:
        headers = {"Authorization": self._token}
        if if_match is not None:
            headers["If-Match"] = if_match
        if document is not None:
            body = json.dumps(document).encode()
        url = URL(f"{path}{'&' if '?' in path else '?'}api-version=2021-04-12", encoded=True)
        async with self._session.request(method, url, headers=headers, data=body) as response:
            text = await response.read()
            return Answer(response.status, response.headers.get("iothub-errorcode"), json.loads(text) if text else None)

    async def done(self, method: str, path: str, document: object = None, *, if_match: str | None = None) -> Any:
        """Ask for what must succeed."""
        answer = await self.ask(method, path, document, if_match=if_match)
        assert answer.status in (200, 204), answer
        return answer.json


@asynccontextmanager
async def registry(hub: LocalHub, policy: str = "registryReadWrite") -> AsyncGenerator[RegistryClient]:
    token = ServiceCredential.from_connection_string(hub.connection_string(policy)).token(datetime.now(UTC)).text
    connector = aiohttp.TCPConnector(ssl=hub.ssl_context())
    with anyio.fail_after(20):
        async with aiohttp.ClientSession(f"https://localhost:{hub.port}", connector=connector) as session:
            yield RegistryClient(session, token)
