"""The page on connections names the times after which a link that is half open is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from c2dkit import _net
from c2dkit.transports import _amqp_client, _https_client, _mqtt, _waiting

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text("utf-8")
FOUND_AFTER = dict(re.findall(r"^\| `(amqp|mqtt|https)`.* \| (\d+) s[^|]* \|$", PAGE, re.MULTILINE))


@pytest.mark.parametrize(
    ("transport", "seconds"),
    [
        ("amqp", _amqp_client.IDLE_SECONDS),
        ("mqtt", 1.5 * _mqtt.KEEP_ALIVE_SECONDS),
        ("https", _https_client.REQUEST_SECONDS),
    ],
)
def test_a_dead_link_is_found_when_the_table_says(transport: str, seconds: float) -> None:
    assert float(FOUND_AFTER[transport]) == seconds


def test_an_answer_may_take_as_long_as_the_page_says() -> None:
    assert "The same 45 seconds are the longest that the hub may take" in PAGE
    assert _amqp_client.OUTCOME_SECONDS == 45
    assert "may take 30 s" in PAGE
    assert {_net.CONNECT_SECONDS, _https_client.CONNECT_SECONDS, _waiting.ANSWER_SECONDS} == {30}
