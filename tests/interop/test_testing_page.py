"""What ``docs/testing.md`` shows with azure-iot-device, whose client blocks, passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.testing_page import SDK, run, write_project

if TYPE_CHECKING:
    from pathlib import Path


def test_a_client_that_blocks(tmp_path: Path) -> None:
    write_project(tmp_path)
    result = run(tmp_path, "-m", "pytest", SDK)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout, result.stdout
