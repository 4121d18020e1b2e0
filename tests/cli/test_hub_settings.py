from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from c2dkit.cli._app import app
from c2dkit.cli._hub_settings import options_of
from c2dkit.hub import HubOptions

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ([], {}),
        (["max_delivery_count=3"], {"max_delivery_count": 3}),
        (["default_ttl=PT10M", "feedback_ttl=90"], {"default_ttl": 600 * SECOND, "feedback_ttl": 90 * SECOND}),
        (["tier=S1", "units=2"], {"tier": "S1", "units": 2}),
        (["daily_messages=8000", "lock_expiry_counts=true"], {"daily_messages": 8000, "lock_expiry_counts": True}),
    ],
    ids=str,
)
def test_settings_are_read_by_their_names(settings: list[str], changed: dict[str, object]) -> None:
    expected = replace(HubOptions(feedback_interval=SECOND), **changed)  # type: ignore[arg-type]

    assert options_of(settings, feedback_interval=1) == expected


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["max_delivery_count"], "write NAME=VALUE"),
        (["max_retries=3"], "max_delivery_count"),
        (["feedback_interval=1"], "write NAME=VALUE"),
        (["units=1", "units=2"], "each once"),
        (["max_delivery_count=0"], "max_delivery_count must be 1 to 100, not 0"),
        (["max_delivery_count=few"], "max_delivery_count: "),
        (["tier=S9"], "tier: "),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_told(settings: list[str], text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        options_of(settings, feedback_interval=1)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--set", "max_delivery_count=0"], "must be 1 to 100"),
        (["--feedback-interval", "16"], "feedback_interval must be"),
        (["--feedback-interval", "nan"], "feedback_interval: "),
        (["--feedback-interval", "inf"], "feedback_interval"),
        (["--set", "default_ttl=nan"], "default_ttl: "),
    ],
)
def test_the_command_takes_settings(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(app, ["hub", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert text in result.output
