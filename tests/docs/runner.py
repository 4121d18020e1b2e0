"""Runs the Python blocks of a page against a local hub.

The blocks of a page share one namespace; each block has a hub of its own. A function is called after its block has
run, with those of ``Stage.arguments`` that it names. One with positional-only parameters, such as a factory, is not: it
is for the page's own use.

A function has a peer at the other end. What signs in as a back end (``service``, ``token_credential``) gets a device that
completes everything, and one message sent before; what signs in as a device (``device``, ``certificate_file``) gets a
back end that sends one message; ``owner`` has no peer. A function that takes ``proxy`` must have gone through it. ``folder`` is an empty folder.

A ``text`` fence that follows is what the block prints. A function that loops for ever is stopped once it has printed
that.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import re
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from c2dkit import CloudSender, DeviceReceiver, FeedbackStream
from c2dkit.hub import TokenIssuer
from tests.net.conftest import ConnectProxy, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
    from types import CodeType

    from c2dkit.hub import LocalHub

ROOT: Final = Path(__file__).parents[2]
FOREIGN: Final = [
    ROOT / "docs" / "transports" / f"{name}.md" for name in ("azure-iot-device", "azure-iot-hub", "uamqp")
]
"""The pages whose blocks need a package of somebody else's, and a hub on the standard ports."""
PROJECT: Final = ROOT / "docs" / "testing.md"
"""The page whose blocks are the files of a project; see ``testing_page``."""
PROGRAMS: Final = ROOT / "docs" / "official-sdks.md"
"""The page whose blocks are programs for the official SDKs; ``tests/interop/test_official_sdks_page.py`` runs them."""
PAGES: Final = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page not in {*FOREIGN, PROJECT, PROGRAMS}),
]

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS: Final = 10
CERTIFIED: Final = "dev-3"
"""The device that signs in with a certificate."""
PROXY_USER: Final = "me:secret"
DEVICE_ARGUMENTS: Final = frozenset({"device", "certificate_file"})
SERVICE_ARGUMENTS: Final = frozenset({"service", "token_credential"})


class Block(NamedTuple):
    page: Path
    line: int
    code: str
    output: list[str] | None

    def compile(self) -> CodeType:
        return compile("\n" * self.line + self.code, self.page, "exec", dont_inherit=True)

    def functions(self) -> list[str]:
        tree = ast.parse(self.code)
        return [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for fence, following in itertools.pairwise([*FENCE.finditer(text), None]):
        if fence is not None and fence[1] == "python":
            adjacent = following is not None and following[1] == "text" and following.start() - fence.end() < 3
            output = following[2].splitlines() if following is not None and adjacent else None
            yield Block(page, text[: fence.start()].count("\n") + 1, fence[2], output)


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


class Stage:
    """What the functions of one block find: a hub, a proxy, somebody who issues tokens, and a peer."""

    def __init__(self, hub: LocalHub, proxy: ConnectProxy, proxy_port: int, folder: Path) -> None:
        self._hub = hub
        self._proxy = proxy
        certificate_file, key_file = certificate_files(hub, folder)
        self.arguments: Mapping[str, object] = {
            "service": hub.service_connection_string,
            "owner": hub.owner_connection_string,
            "device": hub.device_connection_string("dev-1"),
            "ca_file": str(hub.ca_file),
            "host_name": hub.host,
            "port": hub.port,
            "certificate_file": certificate_file,
            "key_file": key_file,
            "token_credential": issuer().credential(),
            "folder": folder,
            "proxy": f"http://{PROXY_USER}@127.0.0.1:{proxy_port}",
        }

    async def call(self, function: Callable[..., object], printer: Printer, *, endless: bool) -> None:
        parameters = inspect.signature(function).parameters
        if any(each.kind is each.POSITIONAL_ONLY for each in parameters.values()):
            return
        wanted = list(parameters)
        values = [self.arguments[name] for name in wanted]
        if not inspect.iscoroutinefunction(function):
            function(*values)
            return
        with anyio.fail_after(SECONDS):
            await self._perform(functools.partial(function, *values), set(wanted), printer, endless=endless)
        assert bool(self._proxy.targets or self._proxy.refused) is ("proxy" in wanted)

    async def _perform(
        self,
        function: Callable[[], Coroutine[object, object, None]],
        wanted: set[str],
        printer: Printer,
        *,
        endless: bool,
    ) -> None:
        is_device, is_service = bool(wanted & DEVICE_ARGUMENTS), bool(wanted & SERVICE_ARGUMENTS)
        async with anyio.create_task_group() as tasks:
            if is_device or is_service:
                await self._send(CERTIFIED if "certificate_file" in wanted else "dev-1")
            if is_service:
                tasks.start_soon(self._complete_everything)
            if not endless:
                await function()
            else:
                tasks.start_soon(function)
                await printer.enough.wait()
                if is_device:
                    await self._settled()
            tasks.cancel_scope.cancel()

    async def _send(self, device_id: str) -> None:
        async with CloudSender.from_connection_string(self._hub.service_connection_string) as sender:
            await sender.send(
                device_id, {"delay_s": 5}, message_id="reboot-1", ack="full", properties={"priority": "high"}
            )

    async def _complete_everything(self) -> None:
        async with DeviceReceiver.from_connection_string(self._hub.device_connection_string("dev-1")) as receiver:
            async for message in receiver:
                await message.complete()

    async def _settled(self) -> None:
        async with FeedbackStream.from_connection_string(self._hub.service_connection_string) as feedback:
            record = await anext(feedback)
            assert record.original_message_id == "reboot-1"


@functools.cache
def issuer() -> TokenIssuer:
    """Return who issues tokens; its key takes long to make."""
    return TokenIssuer.create()


def certificate_files(hub: LocalHub, folder: Path) -> tuple[str, str]:
    """Register the device that signs in with a certificate; return the files of that and of its key."""
    hub.add_device(CERTIFIED, ca_signed=True)
    key, begin, certificate = hub.issue_certificate(CERTIFIED).partition(b"-----BEGIN CERTIFICATE-----")
    certificate_file, key_file = folder / "dev-3.pem", folder / "dev-3-key.pem"
    certificate_file.write_bytes(begin + certificate)
    key_file.write_bytes(key)
    return str(certificate_file), str(key_file)


@asynccontextmanager
async def stage(hub: LocalHub, folder: Path) -> AsyncGenerator[Stage]:
    """Set a block's stage."""
    proxy = ConnectProxy(PROXY_USER)
    async with serving(proxy.serve) as peer:
        yield Stage(hub, proxy, peer.port, folder)


async def run_page(
    page: Path, new_hub: Callable[[], LocalHub], folder: Path, trust: Callable[[LocalHub], None]
) -> None:
    """Run the blocks of a page, each against a hub of its own that ``trust`` has been told of."""
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks_of(page):
        async with AsyncExitStack() as stack:
            hub = await stack.enter_async_context(new_hub())
            trust(hub)
            await run_block(block, namespace, await stack.enter_async_context(stage(hub, folder)))


async def run_block(block: Block, namespace: dict[str, object], on: Stage) -> None:
    printer = Printer(len(block.output or ()))
    namespace["print"] = printer
    exec(block.compile(), namespace)
    endless = "receiver.run(" in block.code or ("async for" in block.code and "break" not in block.code)
    for name in block.functions():
        function = namespace[name]
        assert inspect.isfunction(function)
        await on.call(function, printer, endless=endless)
    if block.output is not None:
        assert printer.lines == block.output, f"{block.page.name}, line {block.line}: it printed {printer.lines}"
