from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._errors import ConnectionStringError
from c2dkit._rules.connection_strings import DEVICE_KEYS, SERVICE_KEYS, split_connection_string, split_host

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="


def test_a_value_may_contain_equals_signs() -> None:
    values = split_connection_string(f"HostName=h;DeviceId=a=b;SharedAccessKey={SECRET}", DEVICE_KEYS)
    assert values == {"HostName": "h", "DeviceId": "a=b", "SharedAccessKey": SECRET}


def test_white_space_around_the_whole_is_not_part_of_it() -> None:
    assert split_connection_string("  HostName=h\n", DEVICE_KEYS) == {"HostName": "h"}


def test_the_longest_connection_string() -> None:
    device_id = "d" * (8192 - len("DeviceId="))
    assert split_connection_string(f"DeviceId={device_id}", DEVICE_KEYS) == {"DeviceId": device_id}
    with pytest.raises(ConnectionStringError, match="at most 8192 characters"):
        split_connection_string(f"DeviceId={device_id}d", DEVICE_KEYS)


BROKEN = [
    ("", DEVICE_KEYS, "part 1 is empty"),
    ('"HostName=h"', DEVICE_KEYS, "begins with a quotation mark"),
    ("'HostName=h'", SERVICE_KEYS, "begins with a quotation mark"),
    ("HostName=h;", DEVICE_KEYS, "part 2 is empty: .* a semicolon too many"),
    ("HostName=h;;DeviceId=d", DEVICE_KEYS, "part 2 is empty"),
    ("HostName", DEVICE_KEYS, "part 1 is not of the form Key=Value"),
    ("HostName=", DEVICE_KEYS, "HostName has no value"),
    ("HostName=a;HostName=a", DEVICE_KEYS, "HostName is given twice"),
    ("hostname=h", DEVICE_KEYS, "part 1: the key is spelled HostName"),
    ("HostName=h;X509=true", DEVICE_KEYS, "part 2: the key is spelled x509"),
    ("HostName=h;Colour=red", DEVICE_KEYS, "part 2 has an unknown key 'Colour'; known are DeviceId, "),
    ("HostName =h", DEVICE_KEYS, "part 1 has an unknown key;"),
    ("=h", DEVICE_KEYS, "part 1 has an unknown key;"),
    ("HostName=h;DeviceId=d;ModuleId=m", DEVICE_KEYS, "ModuleId .* modules have no cloud-to-device messages"),
    ("HostName=h;DeviceId=d", SERVICE_KEYS, "DeviceId .* a back end needs the hub's own"),
    ("HostName=h;x509=true", SERVICE_KEYS, "x509 .* only a device"),
    ("HostName=h;GatewayHostName=g", SERVICE_KEYS, "GatewayHostName .* a back end connects to HostName"),
    ("Endpoint=sb://x/;EntityPath=y", SERVICE_KEYS, "Event Hubs or Service Bus"),
]


def test_what_is_no_text() -> None:
    with pytest.raises(ConnectionStringError, match="is text; this is NoneType"):
        split_connection_string(None, DEVICE_KEYS)


@pytest.mark.parametrize(("text", "allowed", "expected"), BROKEN, ids=[text[:30] for text, _, _ in BROKEN])
def test_what_is_wrong_is_said(text: str, allowed: frozenset[str], expected: str) -> None:
    with pytest.raises(ConnectionStringError, match=expected):
        split_connection_string(text, allowed)


@pytest.mark.parametrize(
    "text",
    [
        f"HostName=h;{SECRET}",
        f"HostName=h;DeviceId=d;SharedAccessKey;{SECRET}",
        f"SharedAccessKey={SECRET};SharedAccessKey={SECRET}",
        f"sharedaccesskey={SECRET}",
        f"HostName=h;Password={SECRET}",
        f"HostName=h;SharedAccessKey={SECRET};",
    ],
)
def test_no_error_shows_a_secret(text: str) -> None:
    with pytest.raises(ConnectionStringError) as caught:
        split_connection_string(text, DEVICE_KEYS)
    assert SECRET.rstrip("=") not in str(caught.value)


HOSTS = [
    ("my-hub.azure-devices.net", ("my-hub.azure-devices.net", None)),
    ("localhost:15671", ("localhost", 15671)),
    ("127.0.0.1:1", ("127.0.0.1", 1)),
    ("[::1]", ("[::1]", None)),
    ("[::1]:65535", ("[::1]", 65535)),
]


@pytest.mark.parametrize(("text", "expected"), HOSTS)
def test_a_host_may_have_a_port(text: str, expected: tuple[str, int | None]) -> None:
    assert split_host(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a b", "hub/x", "amqps://hub", "hub:", "hub:0", "hub:65536", "hub:port", "::1", "[::1", "[x]", "h" * 254, "hub\n"],
)  # fmt: skip
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ConnectionStringError, match="GatewayHostName is not a host name"):
        split_host(text, "GatewayHostName")


@given(st.text() | st.lists(st.sampled_from(sorted(DEVICE_KEYS)).map(lambda key: f"{key}=v")).map(";".join))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        values = split_connection_string(text, DEVICE_KEYS)
    except ConnectionStringError:
        return
    assert values.keys() <= DEVICE_KEYS
    assert ";".join(f"{key}={value}" for key, value in values.items()) == text.strip()
