"""Has pytest print what the legs have proved."""

from c2dkit.testing.contract import pytest_runtest_makereport, pytest_terminal_summary

__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]
