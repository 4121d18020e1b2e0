from __future__ import annotations

from datetime import timedelta

import pytest

from c2dkit._rules import limits

DOCUMENTED = "ABCXYZabcxyz0189-:.+%_#*?!(),=@;$'"


@pytest.mark.parametrize("text", [*DOCUMENTED, DOCUMENTED, "a" * 128])
def test_device_ids_of_the_documented_alphabet(text: str) -> None:
    assert limits.DEVICE_ID.fullmatch(text)


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", "a/b", "a\\b", "a&b", 'a"b', "a~b", "é", "a\n", "[a]", "<a>"])
def test_what_is_no_device_id(text: str) -> None:
    assert not limits.DEVICE_ID.fullmatch(text)


@pytest.mark.parametrize("text", [DOCUMENTED, "My Message ID", "a" * 128, " ", "~"])
def test_message_ids_are_printable_ascii(text: str) -> None:
    assert limits.MESSAGE_ID.fullmatch(text)


@pytest.mark.parametrize("text", ["", "a" * 129, "é", "\x7f", "\x1f", "a\n"])
def test_what_is_no_message_id(text: str) -> None:
    assert not limits.MESSAGE_ID.fullmatch(text)


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1f", "\x7f", "\x80", "\x9f", "\ud800"])
def test_characters_that_no_text_may_have(character: str) -> None:
    assert limits.UNSAFE_TEXT.search(f"a{character}b")


@pytest.mark.parametrize("text", ["plain", " ", "~", "\xa0", "é", "日本", "\U0001f600", "!#$%&'*+-.^_`|~"])
def test_all_other_text_is_carried(text: str) -> None:
    assert limits.UNSAFE_TEXT.search(text) is None


def test_the_documented_numbers() -> None:
    assert limits.MESSAGE_BYTES == 64 * 1024
    assert timedelta(minutes=1) == limits.EXPIRY_MIN
    assert timedelta(hours=48) == limits.EXPIRY_MAX
