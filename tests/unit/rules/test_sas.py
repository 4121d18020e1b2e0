from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2dkit._rules import sas

KEY = base64.b64encode(b"\x01" * 32).decode()
OTHER_KEY = base64.b64encode(b"\x02" * 32).decode()

# Computed apart from this code, and the same as what the Node and Python SDKs sent for these keys and times.
DEVICE_SR = "hub.localtest%2Fdevices%2Fd1"
DEVICE_SIG = "2OmoEM4R4dNrD6p2TMweffco6jBc6uAHk20ZpH1woMA%3D"
SERVICE_SIG = "YYeypqQzBPeZ86P2gbUbJB%2BIT4Xbp3fWG8q6%2Be2gTbI%3D"
DEVICE_VECTOR = (
    "hub.localtest/devices/d1",
    1795402252,
    f"SharedAccessSignature sr={DEVICE_SR}&sig={DEVICE_SIG}&se=1795402252",
)
SERVICE_VECTOR = (
    "hub.localtest",
    1795402053,
    f"SharedAccessSignature sr=hub.localtest&sig={SERVICE_SIG}&se=1795402053",
)
VECTORS = [DEVICE_VECTOR, SERVICE_VECTOR]


@pytest.mark.parametrize(("resource", "expiry", "text"), VECTORS)
def test_a_token_is_made_as_the_sdks_make_it(resource: str, expiry: int, text: str) -> None:
    assert sas.sign(resource, KEY, datetime.fromtimestamp(expiry, tz=UTC)).text == text


@pytest.mark.parametrize(("resource", "expiry", "text"), VECTORS)
def test_a_token_of_the_sdks_is_read_and_verified(resource: str, expiry: int, text: str) -> None:
    parsed = sas.parse(text)
    assert (parsed.resource, parsed.expiry, parsed.policy) == (resource, expiry, None)
    assert sas.verify(parsed, KEY)
    assert not sas.verify(parsed, OTHER_KEY)


def test_what_was_signed_is_the_text_as_it_stands() -> None:
    text = DEVICE_VECTOR[2]
    lower_case = text.replace("%2F", "%2f")
    assert sas.parse(lower_case).resource == sas.parse(text).resource
    assert not sas.verify(sas.parse(lower_case), KEY)


def test_the_signature_may_be_less_encoded_and_the_order_is_free() -> None:
    raw = "SharedAccessSignature skn=service&se=1795402053&sig=YYeypqQzBPeZ86P2gbUbJB+IT4Xbp3fWG8q6+e2gTbI=&sr=hub.localtest"
    parsed = sas.parse(raw)
    assert sas.verify(parsed, KEY)
    assert parsed.policy == "service"


def test_a_policy_is_named_and_not_signed() -> None:
    end = datetime.fromtimestamp(SERVICE_VECTOR[1], tz=UTC)
    token = sas.sign("hub.localtest", KEY, end, "a policy")
    assert token.text == SERVICE_VECTOR[2] + "&skn=a%20policy"
    assert (token.policy, sas.parse(token.text).policy) == ("a policy", "a policy")


@given(
    resource=st.text(st.characters(codec="utf-8"), min_size=1, max_size=100),
    key=st.binary(min_size=1, max_size=64),
    expiry=st.integers(0, sas.MAX_EXPIRY),
    policy=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_what_is_signed_can_be_read_and_verified(resource: str, key: bytes, expiry: int, policy: str | None) -> None:
    text_key = base64.b64encode(key).decode()
    parsed = sas.parse(sas.sign(resource, text_key, datetime.fromtimestamp(expiry, tz=UTC), policy).text)
    assert (parsed.resource, parsed.expiry, parsed.policy) == (resource, expiry, policy)
    assert sas.verify(parsed, text_key)
    assert not sas.verify(parsed, base64.b64encode(key + b"\x01").decode())


def test_a_token_is_renewed_after_four_fifths_of_its_life() -> None:
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    token = sas.sign("hub", KEY, start + timedelta(hours=1))
    assert token.renew_at == start + timedelta(minutes=48)
    short = sas.sign("hub", KEY, start + timedelta(seconds=100), lifetime=timedelta(seconds=100))
    assert short.renew_at == start + timedelta(seconds=80)


GOOD = "SharedAccessSignature sr=hub&sig=AAAA&se=1"
BROKEN = {
    "": "begins with",
    "Bearer abc": "begins with",
    "SharedAccessSignature": "begins with",
    "SharedAccessSignature ": "has no sr",
    GOOD.replace("sr=hub&", ""): "has no sr",
    GOOD.replace("sr=hub", "sr="): "has no sr",
    GOOD.replace("&sig=AAAA", ""): "has no sig",
    GOOD.replace("&se=1", ""): "has no se",
    GOOD + "&se=2": "each field once",
    GOOD.replace("sr=hub", "sr=hub\udce9"): "sr",
    GOOD.replace("AAAA", "A*AA"): "sig",
    GOOD.replace("AAAA", "AAA"): "sig",
    GOOD.replace("AAAA", "é"): "sig",
    GOOD.replace("se=1", "se=soon"): "se",
    GOOD.replace("se=1", "se=-1"): "se",
    GOOD.replace("se=1", "se=1.5"): "se",
    GOOD.replace("se=1", "se=²"): "se",
    GOOD.replace("se=1", "se=253402300800"): "se",
    GOOD.replace("se=1", "se=" + "9" * 4000): "se",
    GOOD + "&x=" + "x" * 4096: "at most",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match=BROKEN[text]) as caught:
        sas.parse(text)
    assert "AAAA" not in str(caught.value)


def test_the_longest_token_and_the_last_second() -> None:
    assert sas.parse(GOOD + "&" + "x" * (4095 - len(GOOD))) == sas.parse(GOOD)
    assert sas.parse(GOOD.replace("se=1", "se=253402300799")).expiry == 253402300799
    with pytest.raises(ValueError, match="at most 4096"):
        sas.parse(GOOD + "&" + "x" * (4096 - len(GOOD)))


def test_an_unknown_field_is_ignored() -> None:
    assert sas.parse(GOOD + "&new=1") == sas.parse(GOOD)


@given(st.text() | st.text().map(lambda tail: f"SharedAccessSignature {tail}"))
def test_any_text_is_a_token_or_a_value_error(text: str) -> None:
    try:
        parsed = sas.parse(text)
    except ValueError:
        return
    assert parsed.resource_raw in text


SCOPES = [
    ("hub.net", "hub.net", True),
    ("HUB.net", "hub.NET", True),
    ("hub.net", "hub.net/devices/d1", True),
    ("hub.net/", "hub.net/devices/d1", True),
    ("hub.net/devices", "hub.net/devices/d1", True),
    ("hub.net/devices/d1", "hub.net/devices/d1", True),
    ("hub.net:15671/devices/d1", "hub.net/devices/d1", True),
    ("hub.net/devices/d1", "hub.net:15671/devices/d1", True),
    ("[::1]:15671", "[::1]/devices/d1", True),
    ("hub.net/devices/d1", "hub.net/devices/d10", False),
    ("hub.net/devices/d1", "hub.net/devices/D1", False),
    ("hub.net/devices/d1", "hub.net/devices", False),
    ("hub.net/devices/d1", "hub.net", False),
    ("hub.ne", "hub.net", False),
    ("other.net", "hub.net", False),
    ("[::1]", "[::2]", False),
    ("", "hub.net", False),
    ("/devices", "hub.net/devices/d1", False),
]


@pytest.mark.parametrize(("scope", "resource", "expected"), SCOPES)
def test_a_scope_is_a_prefix_by_segment(scope: str, resource: str, expected: bool) -> None:
    assert sas.covers(scope, resource) is expected


@pytest.mark.parametrize("key", ["", "AAA", "A A=", "é", "not base64!", "AAAA\n"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="base64 text") as caught:
        sas.decode_key(key)
    assert caught.value.__cause__ is None


def test_secrets_do_not_show() -> None:
    token = sas.sign("hub", KEY, datetime(2026, 1, 31, tzinfo=UTC), "service")
    signature = sas.parse(token.text).signature
    encoded = base64.b64encode(signature).decode()
    for shown in (repr(token), str(token), repr(sas.parse(token.text))):
        assert "service" in shown
        assert not any(secret in shown for secret in (KEY, encoded, quote(encoded, safe=""), repr(signature)))
