"""Runs every Python block of the README and the docs against a local hub.

The blocks of a page share one namespace; each block has a hub of its own. A function that takes no arguments, or only some of those in ``arguments``,
is called after its block has run, with a peer at the other end: ``service`` functions get a device that completes
everything and one message sent before, ``device`` functions get a back end that sends one message. A ``text`` fence
that follows is what the block prints. A function that loops for ever is stopped once it has printed that.
"""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest

from c2dkit import CloudSender, DeviceReceiver, FeedbackStream
from c2dkit.hub import HubOptions, LocalHub

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AT_ONCE = HubOptions(feedback_interval=timedelta(0))
SECONDS = 10


class Block(NamedTuple):
    line: int
    code: str
    output: list[str] | None


def blocks_of(path: Path) -> Iterator[Block]:
    page = path.read_text("utf-8")
    fences = list(FENCE.finditer(page))
    for fence, following in zip(fences, [*fences[1:], None], strict=True):
        if fence[1] == "python":
            adjacent = following is not None and following[1] == "text" and following.start() - fence.end() < 3
            output = following[2].splitlines() if following is not None and adjacent else None
            yield Block(page[: fence.start()].count("\n") + 1, fence[2], output)


class Printer:
    """Stands in for print and says when as many lines as expected have come."""

    def __init__(self, expected: int) -> None:
        self.lines: list[str] = []
        self.enough = anyio.Event()
        self._expected = expected

    def __call__(self, *values: object) -> None:
        self.lines.append(" ".join(str(value) for value in values))
        if len(self.lines) >= self._expected:
            self.enough.set()


class World:
    """The other end of what a function on a page does."""

    def __init__(self, hub: LocalHub, arguments: set[str]) -> None:
        self._hub = hub
        self._is_device = "device" in arguments
        self._is_service = "service" in arguments

    async def run(self, function: Callable[[], Coroutine[object, object, None]], printer: Printer, code: str) -> None:
        endless = "async for" in code and "break" not in code
        async with anyio.create_task_group() as tasks:
            if self._is_device or self._is_service:
                await self._send()
            if self._is_service:
                tasks.start_soon(self._complete_everything)
            if not endless:
                await function()
            else:
                tasks.start_soon(function)
                await printer.enough.wait()
                if self._is_device:
                    await self._settled()
            tasks.cancel_scope.cancel()

    async def _send(self) -> None:
        service = self._hub.service_connection_string
        async with CloudSender.from_connection_string(service) as sender:
            await sender.send(
                "dev-1", {"delay_s": 5}, message_id="reboot-1", ack="full", properties={"priority": "high"}
            )

    async def _complete_everything(self) -> None:
        async with DeviceReceiver.from_connection_string(self._hub.device_connection_string("dev-1")) as receiver:
            async for message in receiver:
                await message.complete()

    async def _settled(self) -> None:
        async with FeedbackStream.from_connection_string(self._hub.service_connection_string) as feedback:
            record = await anext(feedback)
            assert record.original_message_id == "reboot-1"


def functions_in(block: Block) -> list[str]:
    tree = ast.parse(block.code)
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


async def run_block(block: Block, page: Path, namespace: dict[str, object], hub: LocalHub) -> None:
    printer = Printer(len(block.output or ()))
    namespace["print"] = printer
    exec(compile("\n" * block.line + block.code, page, "exec", dont_inherit=True), namespace)
    arguments = {
        "service": hub.service_connection_string,
        "device": hub.device_connection_string("dev-1"),
        "ca_file": str(hub.ca_file),
    }
    for name in functions_in(block):
        function = namespace[name]
        assert inspect.isfunction(function)
        wanted = list(inspect.signature(function).parameters)
        values = [arguments[key] for key in wanted]
        if inspect.iscoroutinefunction(function):
            with anyio.fail_after(SECONDS):
                await World(hub, set(wanted)).run(partial(function, *values), printer, block.code)
        else:
            function(*values)
    if block.output is not None:
        assert printer.lines == block.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks_of(page):
        async with LocalHub(devices=["dev-1", "dev-2"], options=AT_ONCE) as hub:
            monkeypatch.setenv("SSL_CERT_FILE", str(hub.ca_file))
            await run_block(block, page, namespace, hub)
