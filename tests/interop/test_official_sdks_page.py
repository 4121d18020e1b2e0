"""Follows ``docs/official-sdks.md`` as a reader would: its programs, as they stand there, against ``c2dkit hub``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from .conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).parents[2] / "docs" / "official-sdks.md"
PROGRAM = re.compile(r"^```(?:python|javascript)\n(?:#|//) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HUB = re.search(r"^c2dkit (hub .*)$", PAGE.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the page's programs, in which its hub runs."""
    for name, code in PROGRAM.findall(PAGE.read_text("utf-8")):
        (tmp_path / name).write_text(code, "utf-8")
    assert HUB is not None
    command = [str(Path(sys.executable).with_name("c2dkit")), *HUB[1].split(), "--feedback-interval", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as hub:
        try:
            wait_for(tmp_path / "hub.json", hub)
            yield tmp_path
        finally:
            hub.send_signal(signal.SIGTERM)
            assert hub.wait(10) == 0


@contextmanager
def running(folder: Path, command: Sequence[str]) -> Iterator[IO[str]]:
    """Run a program until the block ends, and give what it prints."""
    environment = {
        **os.environ,
        "NODE_PATH": str(Path(os.environ["C2DKIT_NODE_MODULES"]) / "node_modules"),
        "NODE_EXTRA_CA_CERTS": "hub/ca.pem",
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True) as program:
        try:
            assert program.stdout is not None
            yield program.stdout
        finally:
            program.kill()


def test_python(folder: Path) -> None:
    with running(folder, [sys.executable, "device.py"]) as device:
        assert device.readline() == "connected\n"
        with running(folder, [sys.executable, "back_end.py"]) as back_end:
            assert back_end.readline() == "sent\n"
        assert device.readline() == "received m-1 hello\n"


def test_node(folder: Path) -> None:
    with running(folder, ["node", "device.js"]) as device:
        assert device.readline() == "connected\n"
        with running(folder, ["node", "back_end.js"]) as back_end:
            assert [back_end.readline() for _ in range(2)] == ["sent\n", "feedback m-2 Success\n"]
        assert device.readline() == "received m-2 hello\n"


def test_what_the_page_says_of_the_ready_file(folder: Path) -> None:
    told = json.loads((folder / "hub.json").read_text("utf-8"))
    assert told["devices"].keys() == {"dev-1"}
    assert Path(told["ca_file"]).samefile(folder / "hub" / "ca.pem")
