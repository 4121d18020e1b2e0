"""What every test may use. Async tests run on asyncio, the one event loop that c2dkit supports."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from c2dkit.hub import LocalHub

# Of the extra `testing`, without which the tests of the engines run too.
pytest_plugins = ["c2dkit.testing.contract"] if find_spec("trustme") else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ``account`` of a test module that has one: a function which tells what its tests have done so far."""
    report = yield
    module = item.getparent(pytest.Module)
    account: Callable[[], str] | None = None if module is None else getattr(module.obj, "account", None)
    if account is not None:
        report.__dict__["account"] = account()
    return report


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Accounts())


class Accounts:
    """The last account of each module; under pytest-xdist all tests of a module must run in one process."""

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "account" in report.__dict__:
            self._accounts[report.nodeid.partition("::")[0]] = report.__dict__["account"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._accounts:
            terminalreporter.section("accounts")
            for account in self._accounts.values():
                terminalreporter.write_line(account)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    """A hub on an ephemeral port with the devices dev-1 and dev-2, which sends feedback at once."""
    from c2dkit.hub import HubOptions, LocalHub  # noqa: PLC0415 - tests of the engines need no hub

    async with LocalHub(devices=["dev-1", "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub
