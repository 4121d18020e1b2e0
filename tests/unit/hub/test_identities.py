from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit.hub._identities import (
    Authentication,
    Device,
    DeviceSettings,
    Policy,
    apply_settings,
    new_device,
    normal_thumbprint,
)
from c2dkit.hub._keys import Keys, new_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
SHA1 = "0" * 40
SHA256 = "A" * 64


def made(settings: DeviceSettings = DeviceSettings(), *, now: datetime = NOW) -> Device:  # noqa: B008 - frozen
    return new_device("d1", settings, now=now, keys=Keys())


def changed(device: Device, settings: DeviceSettings) -> None:
    apply_settings(device, settings, now=LATER, keys=Keys())


def test_keys_are_32_fresh_bytes() -> None:
    keys = {new_key() for _ in range(10)}

    assert len(keys) == 10
    assert {len(b64decode(key, validate=True)) for key in keys} == {32}


def test_a_new_device_is_enabled_and_has_two_keys() -> None:
    device = made()

    assert (device.device_id, device.enabled, device.authentication) == ("d1", True, Authentication.SAS)
    assert device.primary_key != device.secondary_key
    assert device.status_updated_at is None


def test_given_keys_are_kept() -> None:
    device = made(DeviceSettings(primary_key=KEY))

    assert device.primary_key == KEY
    assert device.secondary_key != KEY


def test_a_generation_id_is_18_digits_and_tells_generations_apart() -> None:
    first, second = made(), made(now=NOW + timedelta(microseconds=1))

    assert re.fullmatch(r"[0-9]{18}", first.generation_id)
    assert first.generation_id < second.generation_id


def test_an_update_replaces_all_but_what_is_left_to_the_hub() -> None:
    device = made(DeviceSettings(primary_key=KEY, status_reason="new", iot_edge=True, parent_scopes=("a",)))
    before = replace(device)

    changed(device, DeviceSettings(device_scope="b"))

    assert (device.primary_key, device.secondary_key) == (before.primary_key, before.secondary_key)
    assert (device.status_reason, device.iot_edge, device.parent_scopes) == (None, False, ())
    assert (device.device_scope, device.generation_id) == ("b", before.generation_id)
    assert device.etag != before.etag


def test_the_status_has_a_time_once_it_has_changed() -> None:
    device = made()
    changed(device, DeviceSettings())
    assert device.status_updated_at is None
    changed(device, DeviceSettings(enabled=False))
    assert device.status_updated_at == LATER
    assert made(DeviceSettings(enabled=False)).status_updated_at == NOW


def test_a_way_to_sign_in_is_kept_until_another_is_asked_for() -> None:
    device = made(DeviceSettings(authentication=Authentication.SELF_SIGNED, thumbprints=(SHA1,)))
    hidden = device.primary_key

    changed(device, DeviceSettings())
    assert (device.authentication, device.thumbprints) == (Authentication.SELF_SIGNED, (SHA1,))

    changed(device, DeviceSettings(authentication=Authentication.SAS))
    assert (device.authentication, device.thumbprints) == (Authentication.SAS, ())
    assert device.primary_key != hidden

    changed(device, DeviceSettings(authentication=Authentication.CERTIFICATE_AUTHORITY, thumbprints=(SHA1,)))
    assert (device.authentication, device.thumbprints) == (Authentication.CERTIFICATE_AUTHORITY, ())


def test_a_bad_key_changes_nothing() -> None:
    device = made()
    before = replace(device)
    with pytest.raises(InvalidInputError, match="base64"):
        changed(device, DeviceSettings(primary_key=KEY, secondary_key="no", status_reason="x"))
    assert device == before


@pytest.mark.parametrize("text", [SHA1, SHA256, SHA256.lower(), ":".join(["aa"] * 32)])
def test_a_thumbprint_is_capital_hex_digits(text: str) -> None:
    assert normal_thumbprint(text) in {SHA1, SHA256}


@pytest.mark.parametrize(
    "thumbprints", [(), ("",), ("0" * 39,), ("0" * 41,), ("G" * 40,), ("0" * 63,), (SHA1, SHA1, SHA1), ("\u0660" * 40,)]
)
def test_a_self_signed_device_needs_one_or_two_thumbprints(thumbprints: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="thumbprint"):
        DeviceSettings(authentication=Authentication.SELF_SIGNED, thumbprints=thumbprints)


def test_a_status_reason_has_128_characters() -> None:
    DeviceSettings(status_reason="ö" * 128)
    with pytest.raises(InvalidInputError, match="128"):
        DeviceSettings(status_reason="x" * 129)


def test_keys_are_not_in_a_repr() -> None:
    device = made(DeviceSettings(primary_key=KEY))
    policy = Policy(name="p", rights=frozenset())

    for identity in (device, policy):
        assert identity.primary_key not in repr(identity)
        assert identity.secondary_key not in repr(identity)
    assert "d1" in repr(device)
