"""The project that ``docs/testing.md`` shows passes its tests: with pytest, on two workers, and with unittest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.testing_page import SDK, run, write_project

if TYPE_CHECKING:
    from pathlib import Path


def test_pytest_on_two_workers(tmp_path: Path) -> None:
    write_project(tmp_path)
    scope = "asyncio_default_fixture_loop_scope=function"  # pytest-asyncio warns of whoever does not choose
    result = run(tmp_path, "-m", "pytest", "-n", "2", "-v", "-W", "error", "-o", scope, f"--ignore={SDK}")
    assert result.returncode == 0, result.stdout
    assert re.search(r"= 6 passed in ", result.stdout), result.stdout
    assert set(re.findall(r"^\[(gw\d)\].* PASSED", result.stdout, re.MULTILINE)) == {"gw0", "gw1"}, result.stdout


def test_unittest(tmp_path: Path) -> None:
    write_project(tmp_path)
    result = run(tmp_path, "-W", "error", "-m", "unittest", "unittest_pump")
    assert result.returncode == 0, result.stderr
    assert "Ran 2 tests" in result.stderr, result.stderr


def test_the_other_file_compiles(tmp_path: Path) -> None:
    assert SDK in write_project(tmp_path)
    compile((tmp_path / SDK).read_text("utf-8"), SDK, "exec")
