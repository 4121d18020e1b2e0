"""The page, and the one that is committed."""

from __future__ import annotations

from pathlib import Path

from ._data import load_cases, load_legs
from ._runner import LegReport, Result
from ._table import compared, render

PAGE = (Path(__file__).parents[2] / "docs" / "certification.md").read_text("utf-8")
CASES = load_cases()
LEGS = [leg for leg in load_legs() if not leg.about.reference]


def reports(result: Result, version: str = "1.0") -> list[LegReport]:
    return [
        LegReport(leg, {"package": version}, {case.id: result for case in CASES if leg.role in case.certifies})
        for leg in LEGS
    ]


def row_of(page: str, case_id: str) -> list[str]:
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{case_id}` "))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_has_the_sentence_the_results_and_who_has_checked_it() -> None:
    page = render(reports(Result("pass")))
    assert row_of(page, "settle-reject") == [
        "`settle-reject`",
        "A message that the device rejects is gone, and the back end that asked hears of it.",
        *["pass"] * 9,
        "never",
    ]


def test_a_reason_is_a_number_that_the_page_explains() -> None:
    page = render(reports(Result("not applicable", "it has no wings")))
    assert row_of(page, "settle-reject")[2] == "n/a (1)"
    assert page.endswith("## Reasons\n\n1. it has no wings\n")
    refused = render(reports(Result("refused", "NoWingsError")))
    assert row_of(refused, "settle-reject")[2] == "refused (1)"
    assert row_of(render(reports(Result("fail", "it fell"))), "settle-reject")[2] == "**fail**"


def test_versions_may_differ_and_nothing_else() -> None:
    page = render(reports(Result("pass")))
    assert "| npm | package | 1.0 |" in page
    newer = render(reports(Result("pass"), version="2.0"))
    assert page != newer
    assert compared(page) == compared(newer)
    assert compared(page) != compared(render(reports(Result("fail"))))


def columns(page: str, start: str, until: int) -> list[list[str]]:
    """The first cells of the rows that begin so."""
    return [[cell.strip() for cell in line.split("|")[1:until]] for line in page.splitlines() if line.startswith(start)]


def test_the_committed_page_is_of_these_cases_and_legs() -> None:
    """What came of them, the interop session compares."""
    expected = render(reports(Result("pass")))
    assert columns(PAGE, "| case", -1) == columns(expected, "| case", -1)
    assert columns(PAGE, "| `", 3) == columns(expected, "| `", 3)
    assert [row for row in columns(PAGE, "| `", -1) if "**fail**" in row] == []
