"""Writes the files of the project that ``docs/testing.md`` shows: each block begins with a comment that names its file."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.docs.runner import PROJECT, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

SDK: Final = "test_sdk.py"
"""The one that needs a package of somebody else's, and standard ports; ``tests/interop`` runs it."""
SECONDS: Final = 50


def write_project(folder: Path) -> list[str]:
    """Return the names of the files."""
    (folder / "pytest.ini").write_text(
        "[pytest]\n", "utf-8"
    )  # or pytest would take that of a project around the folder
    blocks = [block.code.partition("\n") for block in blocks_of(PROJECT)]
    names = [first.removeprefix("# ") for first, _, _ in blocks]
    assert [name for name in names if not re.fullmatch(r"\w+\.py", name)] == []
    for name, (_, _, code) in zip(names, blocks, strict=True):
        (folder / name).write_text(code, "utf-8")
    return names


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
