"""Every relative link in the Markdown files leads to a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text("utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def links(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text("utf-8")) if "://" not in target}


@pytest.mark.parametrize(("index", "folder"), [("README.md", "docs"), ("docs/transports.md", "docs/transports")])
def test_every_page_is_in_its_index(index: str, folder: str) -> None:
    assert set((ROOT / folder).resolve().glob("*.md")) <= links(ROOT / index)
