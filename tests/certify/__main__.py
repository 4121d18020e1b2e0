"""``python -m tests.certify``: drives the local hub with the official SDKs, and prints what came of it.

Needs the packages and programs that ``nox -s interop`` installs, and the right to listen on ports 5671, 8883 and 443.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ._data import load_cases, load_legs
from ._runner import run
from ._table import compared, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._runner import LegReport


def main() -> int:
    """Run what the command line says; returns the exit status."""
    options = _options()
    legs = [leg for leg in load_legs() if options.leg in leg.name and (options.leg or not leg.about.reference)]
    cases = [case for case in load_cases() if case.id.startswith(options.case)]
    began = time.monotonic()
    reports = anyio.run(run, legs, cases)
    page = render(reports)
    sys.stdout.write(f"{page}\n{_summary(reports, time.monotonic() - began)}")
    failed = any(result.status == "fail" for report in reports for result in report.results.values())
    return int(failed or not _kept(page, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.certify", description=__doc__)
    parser.add_argument("--leg", default="", metavar="TEXT", help="only the legs with this in their name, c2dkit's too")
    parser.add_argument("--case", default="", metavar="START", help="only the cases whose id begins so")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--write", type=Path, metavar="PATH", help="write the page")
    page.add_argument(
        "--check", type=Path, metavar="PATH", help="fail if the page, but for the versions, says otherwise"
    )
    options = parser.parse_args()
    if (options.leg or options.case) and (options.write or options.check):
        parser.error("a page is of all legs and all cases")
    return options


def _summary(reports: Sequence[LegReport], seconds: float) -> str:
    failures = [
        f"FAILED {report.leg.name}: {case_id}: {result.reason}\n"
        for report in reports
        for case_id, result in report.results.items()
        if result.status == "fail"
    ]
    count = Counter(result.status for report in reports for result in report.results.values())
    return (
        f"{''.join(failures)}{len(reports)} legs in {seconds:.0f} s: {count['pass']} passed, {count['refused']} refused as "
        f"the SDK says, {count['not applicable']} not applicable, {count['fail']} failed\n"
    )


def _kept(page: str, options: argparse.Namespace) -> bool:
    """Write or compare the page, if that is asked for."""
    if options.write:
        options.write.write_text(page, encoding="utf-8")
    if options.check and compared(options.check.read_text(encoding="utf-8")) != compared(page):
        sys.stdout.write(f"FAILED {options.check} says otherwise: python -m tests.certify --write {options.check}\n")
        return False
    return True


sys.exit(main())
