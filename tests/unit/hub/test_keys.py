from __future__ import annotations

from base64 import b64encode

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._keys import DEVELOPMENT_KEY, Keys, is_loopback


@pytest.mark.parametrize("size", [16, 32, 64])
def test_a_key_is_base64_of_16_to_64_bytes(size: int) -> None:
    key = b64encode(bytes(size)).decode()
    assert Keys().check(key) == key


@pytest.mark.parametrize(
    "key", ["", "not base64!", "AQE", b64encode(bytes(15)).decode(), b64encode(bytes(65)).decode()]
)
def test_any_other_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidInputError, match="base64") as caught:
        Keys().check(key)
    assert not key or key not in str(caught.value)


def test_the_development_key_is_the_same_for_all_and_keys_are_random_otherwise() -> None:
    assert Keys(development=True).make() == DEVELOPMENT_KEY == Keys(development=True).make()
    assert Keys().make() != Keys().make()


def test_the_development_key_is_refused_where_others_can_come_in() -> None:
    last = DEVELOPMENT_KEY[-2]
    other_spelling = DEVELOPMENT_KEY[:-2] + chr(ord(last) + 1) + "="  # the last bits of such a text mean nothing
    for key in (DEVELOPMENT_KEY, other_spelling):
        assert Keys().check(key) == key
        with pytest.raises(InvalidInputError, match="loopback") as caught:
            Keys(exposed=True).check(key)
        assert key not in str(caught.value)
    with pytest.raises(InvalidInputError, match="loopback"):
        Keys(development=True, exposed=True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example.com", "hub.localtest", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
