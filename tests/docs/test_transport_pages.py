"""The tables that say which transport does what agree with what the transports say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from c2dkit.transports import TransportInfo, available

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "transports"
TRANSPORTS = {info.name: info for info in available()}
LINK = re.compile(r"^\[`([a-z-]+)`\]\(.*transports/")
WORDS = re.compile(r"complete|abandon|reject|send|feedback|purge|queue depth")


def rows(page: Path) -> list[list[str]]:
    """Return the cells of every table of a page, row by row."""
    lines = page.read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def claimed(cell: str) -> set[str]:
    """Return what a cell says that can be done, up to its first semicolon or colon."""
    return set(WORDS.findall(re.split("[;:]", cell)[0]))


def device(info: TransportInfo) -> set[str]:
    return {settlement.value for settlement in info.settlements or ()}


def service(info: TransportInfo) -> set[str]:
    return {operation.value.replace("-", " ") for operation in info.operations or ()}


def test_every_transport_has_a_page() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == TRANSPORTS.keys()


@pytest.mark.parametrize("page", ["README.md", "docs/transports.md"])
def test_overview(page: str) -> None:
    table = {LINK.findall(name)[0]: cells for name, *cells in rows(ROOT / page) if LINK.search(name)}
    for name, info in TRANSPORTS.items():
        can_device, can_service, *_ = table[name]
        assert (claimed(can_device), claimed(can_service)) == (device(info), service(info)), name


@pytest.mark.parametrize("info", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_page(info: TransportInfo) -> None:
    table = {name: rest for name, *rest in rows(PAGES / f"{info.name}.md")}
    assert claimed(table["a device can"][0]) == device(info)
    assert claimed(table["a back end can"][0]) == service(info)
