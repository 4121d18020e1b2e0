"""``c2dkit fault``, and ``c2dkit hub --fault``."""

from __future__ import annotations

import json
import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from typer.testing import CliRunner

from c2dkit.cli._app import app
from c2dkit.cli._hub_ready import facts_of, secrets_of
from c2dkit.hub import Fault, FaultKind, LocalHub
from c2dkit.hub._keys import DEVELOPMENT_KEY
from tests.cli.test_hub import EPHEMERAL, output_until, run
from tests.hub.test_mqtt_door import connected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from typer.testing import Result


OWNER = f"HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey={DEVELOPMENT_KEY}"


@asynccontextmanager
async def ready_hub(folder: Path) -> AsyncGenerator[tuple[LocalHub, list[str]]]:
    """A hub, and the options that say where it is."""
    file = folder / "ready.json"
    async with LocalHub() as hub:
        facts = {**secrets_of(hub), **facts_of(hub)}
        # As where the hub has the standard ports: the file says where it is.
        facts["owner_connection_string"] = hub.owner_connection_string.replace(f"{hub.host}:{hub.port}", hub.host)
        file.write_text(json.dumps(facts))
        yield hub, ["--ready-file", str(file)]


async def invoke(*arguments: str) -> Result:
    return await anyio.to_thread.run_sync(partial(CliRunner().invoke, app, ["fault", *arguments]))


async def test_a_fault_befalls_a_running_hub(tmp_path: Path) -> None:
    async with ready_hub(tmp_path) as (hub, where), connected(hub) as client:
        result = await invoke("drop  device=dev-1", *where)
        assert (result.exit_code, result.output) == (0, "injected: drop device=dev-1\n")
        await client.closed()


async def test_a_hub_is_found_by_its_connection_string(tmp_path: Path) -> None:
    async with ready_hub(tmp_path) as (hub, _), connected(hub) as client:
        where = ["--connection-string", hub.owner_connection_string, "--ca-file", str(hub.ca_file)]
        assert (await invoke("close", *where)).exit_code == 0
        await client.closed()


async def test_faults_are_withdrawn(tmp_path: Path) -> None:
    async with ready_hub(tmp_path) as (hub, where):
        assert (await invoke("refuse device=dev-1 for=3600", *where)).exit_code == 0
        hub.inject(Fault(FaultKind.DROP, times=100))  # but not what takes it back
        result = await invoke("--clear", *where)
        assert (result.exit_code, result.output) == (0, "every fault is withdrawn\n")
        async with connected(hub) as client:
            await client.round_trip()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explode"], "'explode' is no fault; there are drop,"),
        ([], "say which fault"),
        (["drop"], "say which hub: --ready-file, or"),
        (["drop", "--ready-file", "/nowhere.json"], "No such file: /nowhere.json. `c2dkit hub --ready-file` has it"),
        (["drop", "--connection-string", OWNER, "--ca-file", "/nowhere.pem"], "/nowhere.pem cannot be used: No such"),
        (["drop", "--connection-string", OWNER, "--ca-file", __file__], f"{__file__} cannot be used: "),
        (["drop", "--connection-string", "HostName=h"], "a back end needs one of"),
    ],
)
async def test_what_is_missing_is_told_in_one_line(arguments: list[str], says: str) -> None:
    result = await invoke(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith("c2dkit fault: ")
    assert says in result.output
    assert result.output.count("\n") == 1


async def test_a_file_that_is_no_ready_file(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    for text in ("", "[]", "{}", '{"owner_connection_string": 5, "ca_file": 7}'):
        file.write_text(text)
        result = await invoke("drop", "--ready-file", str(file))
        assert result.exit_code == 1
        assert "is not what `c2dkit hub --ready-file` writes" in result.output


async def test_a_policy_without_the_right_is_refused(tmp_path: Path) -> None:
    async with ready_hub(tmp_path) as (hub, _):
        where = ["--connection-string", hub.service_connection_string, "--ca-file", str(hub.ca_file)]
        result = await invoke("drop", *where)
        assert result.exit_code == 1
        assert "IotHubUnauthorized" in result.output
        assert hub.service_connection_string.partition("SharedAccessKey=")[2] not in result.output


async def test_a_hub_that_begins_with_a_fault(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = [*EPHEMERAL, "--fault", "refuse times=1", "--ready-file", str(ready_file)]
    async with run(*arguments) as process:
        await output_until(process, "HostName=host:port")
        facts = json.loads(ready_file.read_text())
        assert await first_bytes(facts["ca_file"], facts["ports"]["amqp"]) == b""
        assert await first_bytes(facts["ca_file"], facts["ports"]["amqp"]) == b"AMQP\x00\x01\x00\x00"


async def first_bytes(ca_file: str, port: int) -> bytes:
    context = ssl.create_default_context(cafile=ca_file)
    stream = await anyio.connect_tcp("localhost", port, ssl_context=context, tls_standard_compatible=False)
    async with stream:
        await stream.send(b"AMQP\x00\x01\x00\x00")
        try:
            return await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return b""


def test_a_hub_says_what_is_wrong_with_a_fault() -> None:
    result = CliRunner().invoke(app, ["hub", "--fault", "drop when=5"])
    assert result.exit_code == 1
    assert result.output.startswith("c2dkit hub: 'when=5': write each of device,")
