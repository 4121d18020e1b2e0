"""One AMQP connection of uamqp, and the task that keeps it going."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import anyio

from c2dkit._errors import C2dError, ClosedError, ConnectError, PeerProtocolError
from c2dkit._net import open_tls
from c2dkit.transports._foreign import load
from c2dkit.transports._uamqp_auth import PORT, make_authentication
from c2dkit.transports._uamqp_errors import error_from_uamqp
from c2dkit.transports._waiting import answer, fail

if TYPE_CHECKING:
    import ssl
    from types import ModuleType

    from c2dkit._rules.credentials import Credential
    from c2dkit.transports._uamqp_auth import Authentication
    from c2dkit.transports._uamqp_link import UamqpLink

__all__ = ["UamqpClient"]

IDLE_SECONDS: Final = 60.0
"""How long the hub may be silent before the connection counts as dead."""
MAX_FRAME_SIZE: Final = 65_536
"""Bytes; without it uamqp waits for the end of a frame of four gigabytes, if a peer announces one."""
WINDOW: Final = 65_536
"""Frames that the hub may send ahead, within the links' credit. By default it is one, which takes 40 ms a message."""
SHORTEST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05
"""uamqp cannot be waited for, only asked; an idle connection is asked 20 times a second."""
TOKEN_SECONDS: Final = 1.0
"""How often uamqp is asked whether it is time for a new token."""


class UamqpClient:
    """An open connection; made by ``connect``.

    All that takes turns at uamqp is done in one task of the event loop. A thread would be no better: uamqp never
    releases Python's lock, so nothing else runs anywhere while it works.
    """

    def __init__(self, uamqp: ModuleType, authentication: Authentication, *, host_name: str, host: str) -> None:
        self.uamqp = uamqp
        self.asynchronous = load("uamqp.async_ops", transport="uamqp", extra="uamqp")
        self.host = host
        self.error: C2dError | None = None
        self._authentication = authentication
        self._connection = self.asynchronous.ConnectionAsync(
            host_name, authentication, idle_timeout=int(IDLE_SECONDS * 1000), max_frame_size=MAX_FRAME_SIZE
        )
        self._links: list[UamqpLink] = []
        self._closing = False
        self._wake = asyncio.Event()
        self._token_due = 0.0
        self._authenticated: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())

    @classmethod
    async def connect(cls, credential: Credential, *, ssl_context: ssl.SSLContext | None) -> UamqpClient:
        """Connect and authenticate; errors as ``DeviceTransport.open``.

        uamqp does not say why it cannot connect, and stops the whole process while it tries. So the hub's address and
        certificate are tried first, with a connection that is closed again at once.

        Cancellation: safe, nothing stays open.
        """
        uamqp = load("uamqp", transport="uamqp", extra="uamqp")
        host, port = credential.dial
        await anyio.aclose_forcefully(await open_tls(host, port or PORT, ssl_context=ssl_context))
        authentication = await make_authentication(credential, ssl_context=ssl_context)
        client = cls(uamqp, authentication, host_name=credential.host_name, host=f"{host}:{port or PORT}")
        try:
            await answer(client._authenticated, host=client.host, doing="the token")
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def session(self) -> object:
        """The session for every link."""
        # That of CBS, as in uamqp's own clients: it begins no session on a connection that is open already.
        return self._authentication._session  # noqa: SLF001

    async def attach(self, link: UamqpLink, *, address: str) -> None:
        """Open a link and wait for the hub's word; errors as ``DeviceTransport.open``."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        self._links.append(link)
        self.wake()
        try:
            await answer(link.attached, host=self.host, doing=f"the attach of {address}")
        except BaseException:
            self.detach(link)
            raise

    def detach(self, link: UamqpLink) -> None:
        """Have a link ended; ``link.gone`` says when that has happened."""
        link.closing = True
        self.wake()

    def wake(self) -> None:
        """Work now: something waits to be sent."""
        self._wake.set()

    async def close(self) -> None:
        """Detach all links and close the connection. Idempotent; raises nothing.

        Cancellation: the connection still ends, without being waited for.
        """
        self._closing = True
        self.wake()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        begun = False
        try:
            await self._authentication.create_authenticator_async(self._connection, incoming_window=WINDOW)
            begun = True
            await self._pump()
        except Exception as error:  # noqa: BLE001 - whatever ends the connection is its cause
            self._lost(error_from_uamqp(error, doing=f"the connection to {self.host} ended"))
        finally:
            self._lost(ClosedError("the connection is closed"))
            await self._destroy(begun=begun)

    async def _pump(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._closing:
            self._wake.clear()
            await self._connection.work_async()
            self._check_state()
            await self._renew()
            busy = await self._work() or self._wake.is_set()
            pause = SHORTEST_PAUSE if busy else min(pause * 2, LONGEST_PAUSE)
            with anyio.move_on_after(pause):
                await self._wake.wait()

    def _check_state(self) -> None:
        # After an error in the protocol uamqp waits for the peer's close, and says so nowhere else.
        if self._connection._state == self.uamqp.c_uamqp.ConnectionState.DISCARDING:  # noqa: SLF001
            raise PeerProtocolError(f"{self.host} broke the protocol")

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._authenticated.done() and now < self._token_due:
            return
        self._token_due = now + TOKEN_SECONDS
        timed_out, in_progress = await self._authentication.handle_token_async()
        if timed_out:
            raise ConnectError(f"{self.host} did not answer the token")
        if in_progress is False and not self._authenticated.done():
            self._authenticated.set_result(None)

    async def _work(self) -> bool:
        """Work for every link, and say whether there is more to do now."""
        busy = not self._authenticated.done()
        for link in tuple(self._links):
            try:
                busy = await link.work() or busy
            except Exception as error:  # noqa: BLE001 - whatever ends a link is its cause
                link.lost(error_from_uamqp(error, doing="the hub ended the link"))
                link.closing = True
            if link.closing and link.may_go:
                self._links.remove(link)
                await link.destroy()
        return busy

    def _lost(self, error: C2dError) -> None:
        if self.error is not None:
            return
        self.error = error
        fail(self._authenticated, error)
        for link in self._links:
            link.lost(error)

    async def _destroy(self, *, begun: bool) -> None:
        # From the leaves to the root: the process crashes when an object of uamqp outlives what it stands on.
        links, self._links = self._links, []
        for link in links:
            await link.destroy()
        if begun:
            await self._authentication.close_authenticator_async()
        await self._connection.destroy_async()
