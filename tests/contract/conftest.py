"""Makes the run print how many requirements each leg has proved."""

from __future__ import annotations

from c2dkit.testing.contract import pytest_runtest_makereport, pytest_terminal_summary

__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]
