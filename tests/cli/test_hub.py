"""``c2dkit hub`` as a process of its own, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from typer.testing import CliRunner

from c2dkit import cli
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit.cli._app import app
from c2dkit.hub._keys import DEVELOPMENT_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import Process

PROGRAM = [sys.executable, "-c", "from c2dkit.cli import main; main()", "hub"]
EPHEMERAL = ["--amqp-port", "0", "--mqtt-port", "0", "--https-port", "0"]


@asynccontextmanager
async def run(*arguments: str) -> AsyncGenerator[Process]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = await anyio.open_process([*PROGRAM, *arguments], env=environment, stderr=subprocess.STDOUT)
    try:
        with anyio.fail_after(20):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


async def output_until(process: Process, text: str) -> str:
    assert process.stdout is not None
    output = b""
    while text.encode() not in output:
        output += await process.stdout.receive()
    return output.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_hub_runs_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = [*EPHEMERAL, "-v", "--device", "a", "--device", "b", "--ready-file", str(ready_file)]
    async with run(*arguments) as process:
        output = await output_until(process, "HostName=host:port")
        facts = json.loads(ready_file.read_text())
        assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
        assert facts["host"] == "localhost"
        assert set(facts["devices"]) == {"a", "b"}
        services = [facts["service_connection_string"], facts["owner_connection_string"]]
        for string in [*services, *facts["devices"].values(), facts["ca_file"]]:
            assert string in output
        assert ServiceCredential.from_connection_string(facts["service_connection_string"]).port
        device = DeviceCredential.from_connection_string(facts["devices"]["b"])
        assert device.dial == ("localhost", facts["ports"]["amqp"])
        assert list(facts["ports"]) == ["amqp", "mqtt", "https"]
        for port in facts["ports"].values():
            await accepts(port, facts["ca_file"])
            await output_until(process, "an AMQP connection is over")
        process.send_signal(number)
        assert await process.wait() == 0
        assert not ready_file.exists()
        assert not await anyio.Path(facts["ca_file"]).exists()


async def accepts(port: int, ca_file: str) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    stream = await anyio.connect_tcp("localhost", port, ssl_context=context, tls_standard_compatible=False)
    await stream.send(b"AMQP\x00\x01\x00\x00")
    assert await stream.receive()
    await anyio.aclose_forcefully(stream)


async def test_there_is_no_https_port_unless_asked_for(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    async with run("--amqp-port", "0", "--mqtt-port", "0", "--ready-file", str(ready_file)) as process:
        await output_until(process, "HostName=host:port")
        assert list(json.loads(ready_file.read_text())["ports"]) == ["amqp", "mqtt"]


async def test_a_registry_and_the_development_key_give_everybody_the_same_strings(tmp_path: Path) -> None:
    ready_file, registry = tmp_path / "ready.json", tmp_path / "registry.json"
    registry.write_text(json.dumps([{"deviceId": f"d{number}"} for number in range(22)]))
    arguments = [*EPHEMERAL, "--registry", str(registry), "--development-key", "--ready-file", str(ready_file)]
    async with run(*arguments) as process:
        output = await output_until(process, "HostName=host:port")
        facts = json.loads(ready_file.read_text())
        assert list(facts["devices"]) == [f"d{number}" for number in range(22)]
        for string in (facts["owner_connection_string"], facts["devices"]["d19"]):
            assert string.endswith(f";SharedAccessKey={DEVELOPMENT_KEY}")
            assert string in output
        assert "and 2 more" in output
        assert facts["devices"]["d20"] not in output


def test_a_registry_that_is_wrong_is_told(tmp_path: Path) -> None:
    registry = tmp_path / "registry.json"
    result = CliRunner().invoke(app, ["hub", *EPHEMERAL, "--registry", str(registry)])
    assert result.exit_code == 2
    registry.write_text('[{"deviceId": "d1", "status": "off"}]')
    result = CliRunner().invoke(app, ["hub", *EPHEMERAL, "--registry", str(registry)])
    assert result.exit_code == 1
    assert "device 1: status:" in result.output


async def test_a_taken_port_is_told_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with run("--host", "127.0.0.1", "--amqp-port", port, "--mqtt-port", "0") as process:
            output = await output_until(process, "\n")
            assert await process.wait() == 1
            assert f"cannot listen on 127.0.0.1:{port}" in output
            assert "--amqp-port" in output
            assert "Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--device", "a b"], "device_id"),
        (["--feedback-interval", "16"], "feedback_interval must be"),
        (["--ready-file", "/nonexistent/ready.json"], "No such file"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
        (["--host", "192.0.2.1", "--development-key"], "holds on loopback only"),
    ],
)
def test_what_cannot_be_is_told_and_exits_with_1(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(app, ["hub", *EPHEMERAL, *arguments])
    assert result.exit_code == 1, result.output
    assert text in result.output


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(app, ["hub", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for option in (
        "--host",
        "--amqp-port",
        "--mqtt-port",
        "--https-port",
        "--device",
        "--registry",
        "--development-key",
        "--feedback-interval",
        "--ready-file",
    ):
        assert option in result.output


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "c2dkit.cli._app")
    monkeypatch.delitem(sys.modules, "c2dkit.cli.hub")
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 1
    assert capsys.readouterr().err == "the c2dkit command needs typer: pip install 'c2dkit[cli,hub]'\n"
