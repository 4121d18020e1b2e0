"""The suite serves an adapter of another distribution, which has nothing of this one's test settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "in_memory_transport"


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_the_example_passes_by_itself(options: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(EXAMPLE / "tests")],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE / "src")},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    for side in ("device", "service"):
        (proved, asked), *_ = re.findall(rf"{side} +in-memory +(\d+) of (\d+)", result.stdout)
        assert proved == asked
