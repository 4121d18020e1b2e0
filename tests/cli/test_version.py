"""``c2dkit --version``."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version


def test_the_version_is_that_of_the_distribution() -> None:
    command = [sys.executable, "-c", "from c2dkit.cli import main; main()", "--version"]
    assert subprocess.check_output(command, text=True, timeout=50) == f"c2dkit {version('c2dkit')}\n"
