"""Writes the page of results, and compares a page with another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._data import load_areas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._model import Case, CaseFile, Role
    from ._runner import LegReport, Result

__all__ = ["compared", "render"]

VERSIONS: Final = ("<!-- versions, which differ from day to day -->\n", "<!-- end of versions -->\n")
TITLES: Final[Mapping[Role, str]] = {"device": "Devices", "service": "Back ends", "registry": "Administrators"}
HEAD: Final = """\
# Certification

Official Azure SDKs, driven against the local hub as their own end-to-end tests drive a real one. `nox -s interop` runs
all of it and compares this page with what happened; `python -m tests.certify --write docs/certification.md` wrote it.
The cases are data, in [tests/certify](../tests/certify/README.md), for clients of any language.

- **pass**: all that the case says has happened.
- **refused**: the SDK has the call, and refuses what its wire cannot say, by the error that it documents.
- **n/a**: the case does not apply, for the reason in the list [below](#reasons).

No case has been checked on a real hub so far, except where the last column names a day: what the local hub does is what
the documents say, or where they are silent what [was inferred](differences.md).
"""


def render(reports: Sequence[LegReport]) -> str:
    """Return the page."""
    reasons: dict[str, int] = {}
    tables = [_tables(role, [each for each in reports if each.leg.role == role], reasons) for role in TITLES]
    listed = "".join(f"{number}. {reason}\n" for reason, number in reasons.items())
    return "\n".join([HEAD, _versions(reports), *filter(None, tables), f"## Reasons\n\n{listed}"])


def compared(page: str) -> str:
    """Return a page without its versions, which may differ where nothing else does."""
    begin, end = VERSIONS
    before, _, rest = page.partition(begin)
    return before + rest.partition(end)[2]


def _versions(reports: Sequence[LegReport]) -> str:
    found = {(report.leg.about.sdk.partition(" ")[0], *item) for report in reports for item in report.versions.items()}
    rows = [f"| {source} | {name} | {version} |\n" for source, name, version in sorted(found)]
    begin, end = VERSIONS
    return f"{begin}\n| from | package | version |\n|---|---|---|\n{''.join(rows)}\n{end}"


def _tables(role: Role, reports: Sequence[LegReport], reasons: dict[str, int]) -> str:
    if not reports:
        return ""
    parts = [f"## {TITLES[role]}\n", *_legend(reports)]
    for area in load_areas():
        cases = [case for case in area.cases if role in case.certifies and case.id in reports[0].results]
        if cases:
            parts.append(_area(area, cases, reports, reasons))
    return "\n".join(parts)


def _legend(reports: Sequence[LegReport]) -> Sequence[str]:
    sdks = {report.leg.about.short: report.leg.about.sdk for report in reports}
    sources = {short: sdk.partition(" ") for short, sdk in sdks.items()}
    return [", ".join(f"*{short}* is {name} of {source}" for short, (source, _, name) in sources.items()) + ".\n"]


def _area(area: CaseFile, cases: Sequence[Case], reports: Sequence[LegReport], reasons: dict[str, int]) -> str:
    columns = [f"{report.leg.about.short} {report.leg.transport}" for report in reports]
    head = ["case", area.area, *columns, "checked on a real hub"]
    rows = [_row(case, [report.results[case.id] for report in reports], reasons) for case in cases]
    return _markdown([head, *rows])


def _row(case: Case, results: Sequence[Result], reasons: dict[str, int]) -> Sequence[str]:
    return [f"`{case.id}`", case.says, *(_cell(result, reasons) for result in results), case.checked_on_a_real_hub]


def _cell(result: Result, reasons: dict[str, int]) -> str:
    if result.status == "pass":
        return "pass"
    if result.status == "fail":
        return "**fail**"
    refused = result.status == "refused"
    number = reasons.setdefault(f"by {result.reason}" if refused else result.reason, len(reasons) + 1)
    return f"{'refused' if refused else 'n/a'} ({number})"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table that can be read as it is, too: every column as wide as what is in it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *rest = ["| " + " | ".join(map(str.ljust, row, widths)) + " |\n" for row in rows]
    return "".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|\n", *rest])
