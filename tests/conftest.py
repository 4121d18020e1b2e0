"""What every test may use. Async tests run on asyncio, the one event loop that c2dkit supports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from c2dkit.hub import LocalHub

ACCOUNTS = pytest.StashKey[dict[str, Callable[[], str]]]()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Note the ``account`` of a test module that has one: a function which tells what its tests have done."""
    module = item.getparent(pytest.Module)
    account: Callable[[], str] | None = None if module is None else getattr(module.obj, "account", None)
    if account is not None:
        accounts: dict[str, Callable[[], str]] = {}
        item.config.stash.setdefault(ACCOUNTS, accounts)[item.nodeid.partition("::")[0]] = account


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the accounts."""
    stash = terminalreporter.config.stash
    if ACCOUNTS in stash:
        terminalreporter.section("accounts")
        for account in stash[ACCOUNTS].values():
            terminalreporter.write_line(account())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    """A hub on an ephemeral port with the devices dev-1 and dev-2, which sends feedback at once."""
    from c2dkit.hub import HubOptions, LocalHub  # noqa: PLC0415 - tests of the engines need no hub

    async with LocalHub(devices=["dev-1", "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub
