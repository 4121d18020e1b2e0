"""The README's two commands are what CI runs, and every ``c2dkit`` command in the docs exists with its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from c2dkit.cli._app import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHELL = re.compile(r"^```shell\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(c2dkit [^`\n]+)`")


def shell_blocks(page: Path) -> list[str]:
    return [block.strip() for block in SHELL.findall(page.read_text("utf-8"))]


def test_ci_runs_the_two_commands_of_the_readme_and_then_interop() -> None:
    commands = [
        line.removeprefix("(").removesuffix(")")
        for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
        if line.startswith("(")
    ]
    assert commands == [*shell_blocks(README), ".venv/bin/nox -s interop"]


def test_contributing_has_the_same_two_commands() -> None:
    assert "\n".join(shell_blocks(README)) in shell_blocks(ROOT / "CONTRIBUTING.md")


def uses_of_the_command(page: Path) -> list[list[str]]:
    """What follows ``c2dkit`` wherever a page shows a command."""
    shell = [part.strip() for block in shell_blocks(page) for part in re.split(r"&&|\n", block)]
    shown = [*shell, *INLINE.findall(page.read_text("utf-8"))]
    return [words[1:] for words in map(shlex.split, shown) if words and words[0].rpartition("/")[2] == "c2dkit"]


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name)
def test_every_command_and_option_exists(page: Path) -> None:
    for command, *rest in uses_of_the_command(page):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert shown.exit_code == 0, f"c2dkit {command}"
        assert [word for word in rest if word.startswith("-") and word not in shown.output] == []


def test_the_pages_show_commands() -> None:
    assert ["demo"] in uses_of_the_command(README)
    assert any(words[0] == "hub" for words in uses_of_the_command(ROOT / "docs" / "local-hub.md"))
