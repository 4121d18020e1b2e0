"""Writes what happens in a hub to its folder: in one thread, and in few transactions.

While one transaction is on its way to the disk the next one gathers, so that many sends share one sync (group commit).
No answer may leave the hub before what it tells of is on the disk: `committed` is what every connection waits for.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from c2dkit._errors import HubDataError
from c2dkit.hub._store_changes import (
    authority_trusted,
    clock_moved,
    hub_born,
    policy_saved,
    session_saved,
    statements_of,
)
from c2dkit.hub._store_folder import CA_FILE, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Future
    from datetime import timedelta
    from pathlib import Path

    from c2dkit.hub._changes import Change
    from c2dkit.hub._identities import Policy
    from c2dkit.hub._saved import Saved
    from c2dkit.hub._store_folder import Folder
    from c2dkit.hub._store_schema import Statement

__all__ = ["Store"]

log = logging.getLogger("c2dkit.hub")


class Store:
    """The folder of a hub that runs; made with `open`.

    Attributes:
        saved: What was in the folder when it was opened.
        ca_file: The certificate that clients must trust.
        failed: Set once a write has failed. What was confirmed by then is on the disk; nothing more will be.
        commits: How many transactions were written.
    """

    def __init__(self, folder: Folder, saved: Saved, thread: ThreadPoolExecutor) -> None:
        self.saved = saved
        self.ca_file = folder.path / CA_FILE
        self.failed = asyncio.Event()
        self.commits = 0
        self._folder = folder
        self._thread = thread
        self._cause: Exception | None = None
        self._gathered: list[Statement] = []
        self._gathering = asyncio.Event()
        self._on_disk = asyncio.Event()  # of what gathers
        self._on_its_way: asyncio.Event | None = None  # of what is being written
        self._writer = asyncio.create_task(self._write())

    @classmethod
    async def open(
        cls, path: Path, *, policies: Iterable[Policy], authority: tuple[bytes, bytes], clock_offset: timedelta
    ) -> Self:
        """Open a folder, or make one; it is this hub's until `aclose`.

        Args:
            path: The folder.
            policies: What a new one begins with: shared access policies.
            authority: The same: certificate and private key of the hub's own certificate authority, in PEM.
            clock_offset: The same: how far the hub's clock is ahead.

        Cancellation: the folder is closed again.

        Raises:
            HubDataError: It cannot be used, and nothing of it was changed.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="c2dkit-store")
        opening = thread.submit(open_folder, path, tuple(hub_born(policies, authority, clock_offset)))
        opened = asyncio.wrap_future(opening)
        opened.add_done_callback(_look_at)  # a start that is cancelled waits for it no more
        try:
            folder, saved = await asyncio.shield(opened)
        except BaseException:
            thread.submit(_close_again, opening)
            thread.shutdown(wait=False)
            raise
        return cls(folder, saved, thread)

    def change(self, change: Change) -> None:
        """Write down a change in the state; all that is told in one turn of the event loop is in one transaction."""
        self._write_down(*statements_of(change))

    def move_clock(self, offset: timedelta) -> None:
        """Write down how far the hub's clock is ahead."""
        self._write_down(clock_moved(offset))

    def trust(self, authority: bytes) -> None:
        """Write down a certificate authority (PEM) that is trusted."""
        self._write_down(authority_trusted(authority))

    def save_policy(self, policy: Policy) -> None:
        """Write down a shared access policy that is new or has other keys."""
        self._write_down(policy_saved(policy))

    def save_session(self, device_id: str, filters: Mapping[str, int] | None) -> None:
        """Write down a device's MQTT session, or with None that it is over."""
        self._write_down(session_saved(device_id, filters))

    async def committed(self) -> None:
        """Wait until all that was written down is on the disk.

        Cancellation: safe.

        Raises:
            HubDataError: It is not, and will not be.
        """
        waited_for = self._on_disk if self._gathered else self._on_its_way
        if waited_for is not None:
            await waited_for.wait()
        if self._cause is not None:
            raise self.error()

    def error(self) -> HubDataError:
        """Return what a hub says that cannot write any more."""
        return HubDataError(
            f"the hub cannot write to {self._folder.path}: {self._cause}. It has stopped, and has confirmed nothing that "
            "is not on the disk; make room or mend the disk, and start it again",
            path=self._folder.path,
        )

    async def aclose(self) -> None:
        """Write what waits and let another hub have the folder."""
        with suppress(HubDataError):
            await self.committed()
        self._writer.cancel()
        await asyncio.wait([self._writer])
        await asyncio.wrap_future(self._thread.submit(self._folder.close))
        self._thread.shutdown(wait=False)

    def _write_down(self, *statements: Statement) -> None:
        self._gathered.extend(statements)
        if self._gathered:
            self._gathering.set()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._gathering.wait()
            self._gathering.clear()
            statements, self._gathered = self._gathered, []
            self._on_its_way, self._on_disk = self._on_disk, asyncio.Event()
            try:
                if self._cause is None:
                    await loop.run_in_executor(self._thread, partial(self._folder.commit, statements))
                    self.commits += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be confirmed from now on
                log.critical("the hub stops: it cannot write to %s: %s", self._folder.path, error)
                self._cause = error
                self.failed.set()
            self._on_its_way.set()
            self._on_its_way = None


def _close_again(opening: Future[tuple[Folder, Saved]]) -> None:
    """Close a folder that nobody waits for any more."""
    if opening.exception() is None:
        opening.result()[0].close()


def _look_at(opened: asyncio.Future[tuple[Folder, Saved]]) -> None:
    """Look at the error of an opening whose caller may be gone: a future that nobody looks at must not log."""
    if not opened.cancelled():
        opened.exception()
