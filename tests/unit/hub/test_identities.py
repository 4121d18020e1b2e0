from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._identities import Policy, Right, default_policies, new_device, new_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="


def test_keys_are_32_fresh_bytes() -> None:
    keys = {new_key() for _ in range(10)}

    assert len(keys) == 10
    assert {len(b64decode(key, validate=True)) for key in keys} == {32}


def test_a_new_device_is_enabled_and_has_two_keys() -> None:
    device = new_device("d1", now=NOW, primary_key=None, secondary_key=None)

    assert device.device_id == "d1"
    assert device.enabled
    assert device.primary_key != device.secondary_key


def test_given_keys_are_kept() -> None:
    device = new_device("d1", now=NOW, primary_key=KEY, secondary_key=KEY[::-1].lstrip("=") + "=")

    assert device.primary_key == KEY
    assert device.secondary_key.endswith("QA=")


@pytest.mark.parametrize("key", ["", "not base64!", "AQE"])
def test_a_key_must_be_base64_and_is_not_shown(key: str) -> None:
    with pytest.raises(InvalidInputError, match="base64") as caught:
        new_device("d1", now=NOW, primary_key=None, secondary_key=key)

    assert not key or key not in str(caught.value)


def test_a_generation_id_is_18_digits_and_tells_generations_apart() -> None:
    first = new_device("d1", now=NOW, primary_key=None, secondary_key=None)
    second = new_device("d1", now=NOW + timedelta(microseconds=1), primary_key=None, secondary_key=None)

    assert re.fullmatch(r"[0-9]{18}", first.generation_id)
    assert first.generation_id < second.generation_id


def test_keys_are_not_in_a_repr() -> None:
    device = new_device("d1", now=NOW, primary_key=KEY, secondary_key=None)
    policy = Policy(name="p", rights=frozenset())

    for identity in (device, policy):
        assert identity.primary_key not in repr(identity)
        assert identity.secondary_key not in repr(identity)
    assert "d1" in repr(device)


def test_the_default_policies_have_their_documented_rights() -> None:
    rights = {name: policy.rights for name, policy in default_policies().items()}

    assert rights == {
        "iothubowner": {
            Right.SERVICE_CONNECT,
            Right.DEVICE_CONNECT,
            Right.REGISTRY_READ,
            Right.REGISTRY_WRITE,
        },
        "service": {Right.SERVICE_CONNECT},
        "device": {Right.DEVICE_CONNECT},
    }


def test_every_hub_has_policy_keys_of_its_own() -> None:
    assert default_policies()["service"].primary_key != default_policies()["service"].primary_key
