"""``c2dkit hub`` as a process of its own, as a person or a script runs it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
import pytest
from typer.testing import CliRunner

from c2dkit import C2dError, CloudSender, DeviceReceiver, RetryPolicy, cli
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit.cli._app import app
from c2dkit.hub._keys import DEVELOPMENT_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path
    from typing import Any

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
            process.terminate()  # killed, it would leave its certificate authority in the folder for temporary files
        await process.aclose()


async def output_until(process: Process, text: str) -> str:
    assert process.stdout is not None
    output = b""
    while text.encode() not in output:
        output += await process.stdout.receive()
    return output.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
        assert facts["status_url"].startswith(f"https://localhost:{facts['ports']['amqp']}/#")
        for string in [*services, *facts["devices"].values(), facts["status_url"], facts["ca_file"]]:
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


async def test_nohup_outlives_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child inherits
    try:
        async with run(*EPHEMERAL, "--ready-file", str(path)) as process:
            await output_until(process, "HostName=host:port")
            process.send_signal(signal.SIGHUP)
            await play(await told_by(path))
            process.terminate()
            assert await process.wait() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


async def play(facts: dict[str, Any]) -> None:
    """Send a message, receive it and complete it."""
    trust = ssl.create_default_context(cafile=facts["ca_file"])
    device = DeviceReceiver.from_connection_string(
        facts["devices"]["dev-1"], transport="mqtt", ssl_context=trust, retry=RetryPolicy.none()
    )
    back_end = CloudSender.from_connection_string(
        facts["service_connection_string"], ssl_context=trust, retry=RetryPolicy.none()
    )
    async with device as receiver, back_end as sender:
        await sender.send("dev-1", "a body", message_id="reboot-1", ack="positive", properties={"a": "property"})
        await (await anext(receiver)).complete()


def secrets_of(facts: dict[str, Any]) -> list[str]:
    """Return what must not be shown: keys, and what a message has in it."""
    strings = [facts["service_connection_string"], facts["owner_connection_string"], *facts["devices"].values()]
    keys = [string.partition("SharedAccessKey=")[2] for string in strings]
    return [
        *keys,
        facts["status_url"].partition("#")[2],
        "SharedAccessKey",
        "SharedAccessSignature",
        "a body",
        "property",
    ]


async def test_what_happens_is_shown_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    async with run(*EPHEMERAL, "--feedback-interval", "0", "--ready-file", str(path)) as process:
        await output_until(process, "HostName=host:port")
        facts = json.loads(path.read_text())
        await play(facts)
        process.terminate()
        output = await output_until(process, "The hub has stopped.")
    lines = [re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}  (.{16})  (.{13})  (.*)", line) for line in output.splitlines()]
    shown = [tuple(map(str.strip, line.groups())) for line in lines if line is not None]
    assert [line[:2] for line in shown if line[0] != "service"] == [
        ("dev-1", "connected"),
        ("dev-1", "queued"),
        ("dev-1", "locked"),
        ("dev-1", "completed"),
        ("dev-1", "feedback"),
        ("feedback", "queued"),
        ("dev-1", "disconnected"),
    ]
    assert ("dev-1", "completed", "#1 'reboot-1'") in shown
    assert "\x1b" not in output
    assert [secret for secret in secrets_of(facts) if secret in output] == []


async def test_json_is_one_object_a_line_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    async with run(*EPHEMERAL, "--json", "--feedback-interval", "0", "--ready-file", str(path)) as process:
        output = await output_until(process, "\n")
        facts = json.loads(path.read_text())
        await play(facts)
        process.terminate()
        assert await process.wait() == 0
        output += await rest_of(process)
    ready, *events = map(json.loads, output.splitlines())
    assert ready == {
        "event": "ready",
        **{name: facts[name] for name in ("host", "ports", "ca_file")},
        "devices": ["dev-1"],
    }
    assert [event["what"] for event in events if event["event"] == "message"] == ["queued", "locked", "completed"]
    assert {event["event"] for event in events} == {"connection", "message", "feedback", "feedback_batch"}
    assert datetime.fromisoformat(events[0]["at"]).tzinfo is not None
    assert [secret for secret in secrets_of(facts) if secret in output] == []


async def test_quiet_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    async with run(*EPHEMERAL, "--quiet", "--ready-file", str(path)) as process:
        await play(await told_by(path))
        process.terminate()
        assert await process.wait() == 0
        assert await rest_of(process) == ""


async def test_a_reader_who_has_enough_ends_the_hub_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    reading, writing = os.pipe()
    command = [*PROGRAM, *EPHEMERAL, "--ready-file", str(path)]
    async with await anyio.open_process(command, stdout=writing, stderr=subprocess.PIPE) as process:
        with anyio.fail_after(20):
            os.close(writing)
            facts = await told_by(path)
            os.close(reading)
            with suppress(C2dError):
                await play(facts)
            assert await process.wait() == 1
            assert process.stderr is not None
            assert b"".join([part async for part in process.stderr]) == b""
    assert not path.exists()


async def test_a_reader_who_stands_still_does_not_keep_the_hub_from_ending(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    command = [*PROGRAM, *EPHEMERAL, "--json", "--ready-file", str(path)]
    async with await anyio.open_process(command, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        with anyio.fail_after(30):
            facts = await told_by(path)
            for _ in range(5):
                await play(facts)
            process.terminate()
            assert await process.wait() == 1
    os.close(reading)
    assert not path.exists()


async def told_by(path: Path) -> dict[str, Any]:
    """Wait for the ready file."""
    file = anyio.Path(path)
    while not await file.exists():  # noqa: ASYNC110 - a file tells nobody that it is there
        await anyio.sleep(0.02)
    facts: dict[str, Any] = json.loads(await file.read_text())
    return facts


def test_json_and_quiet_contradict_each_other() -> None:
    result = CliRunner().invoke(app, ["hub", *EPHEMERAL, "--json", "--quiet"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "give one of them" in result.output


async def rest_of(process: Process) -> str:
    assert process.stdout is not None
    return b"".join([part async for part in process.stdout]).decode()


async def test_with_a_folder_the_next_start_is_the_same_hub(tmp_path: Path) -> None:
    data, ready_file = tmp_path / "data", tmp_path / "ready.json"
    arguments = [*EPHEMERAL, "--data-dir", str(data), "--device", "a", "--ready-file", str(ready_file)]
    keys: list[set[str]] = []
    for _ in range(2):
        async with run(*arguments) as process:
            await output_until(process, "HostName=host:port")
            facts = json.loads(ready_file.read_text())
            assert facts["ca_file"] == str(data / "ca.pem")
            strings = [facts["service_connection_string"], facts["devices"]["a"], facts["owner_connection_string"]]
            keys.append({string.rpartition(";")[2] for string in strings})
            process.kill()
            await process.wait()
            ready_file.unlink()
    assert keys[0] == keys[1]
    assert len(keys[0]) == 3


async def test_a_hub_that_cannot_write_stops_and_says_so(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    async with run(*EPHEMERAL, "--data-dir", str(tmp_path / "data"), "--ready-file", str(ready_file)) as process:
        await output_until(process, "HostName=host:port")
        facts = json.loads(ready_file.read_text())
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
        trust = ssl.create_default_context(cafile=facts["ca_file"])
        sender = CloudSender.from_connection_string(
            facts["service_connection_string"], ssl_context=trust, retry=RetryPolicy.none()
        )
        with pytest.raises(C2dError):
            async with sender:
                await sender.send("dev-1", "hello")
        output = await output_until(process, "start it again")
        assert await process.wait() == 1
        assert f"cannot write to {tmp_path / 'data'}" in output
        assert "Traceback" not in output


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
        (["--ready-file", "/nonexistent/ready.json"], "/nonexistent/"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
        (["--host", "192.0.2.1", "--development-key"], "holds on loopback only"),
        (["--data-dir", __file__], "cannot be used: Not a directory"),
    ],
)
def test_what_cannot_be_is_told_and_exits_with_1(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(app, ["hub", *EPHEMERAL, *arguments])
    assert result.exit_code == 1, result.output
    assert text in result.output
    assert "--amqp-port" not in result.output  # no port is at fault


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
        "--data-dir",
        "--ready-file",
        "--json",
        "--quiet",
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
