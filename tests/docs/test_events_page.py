"""The page on watching the hub names every event, with every field and every value of ``what``."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from c2dkit.hub._events import NAMES, HubEvent, Step

PAGE = (Path(__file__).parents[2] / "docs" / "hub-console.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)
CODE = re.compile(r"`(\w+)`")


def values_of_what(kind: type[HubEvent]) -> set[str]:
    hint = get_type_hints(kind, localns={"datetime": datetime}).get("what")
    return set(get_args(hint)) - set(get_args(Step))


def test_the_table_has_every_event() -> None:
    assert {name for name, _ in ROW.findall(PAGE)} == {"event", *NAMES.values()}  # the head


@pytest.mark.parametrize("kind", NAMES, ids=NAMES.get)
def test_the_fields_of_the_table_are_the_real_ones(kind: type[HubEvent]) -> None:
    documented = CODE.findall(dict(ROW.findall(PAGE))[NAMES[kind]])
    assert sorted(documented) == sorted({*kind._fields, *values_of_what(kind)} - {"at"})


def test_the_steps_are_the_real_ones() -> None:
    sentence = PAGE.partition("`what` of a message or a batch is one of ")[2].partition(". ")[0]
    assert CODE.findall(sentence) == list(get_args(Step))
