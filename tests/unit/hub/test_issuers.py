from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from c2dkit._errors import UnauthorizedError
from c2dkit.hub import TokenIssuer, _jwt
from c2dkit.hub._issuers import check_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SKEW = timedelta(minutes=5)
SECOND = timedelta(seconds=1)
ISSUER = TokenIssuer.create()
OTHER = TokenIssuer.create("https://elsewhere.localtest/")
ISSUERS = {ISSUER.name: ISSUER}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_a_token_is_good_from_its_beginning_to_its_end_and_five_minutes_around() -> None:
    token = ISSUER.token(not_before=NOW)

    for now in (NOW - SKEW, NOW, NOW + HOUR, NOW + HOUR + SKEW - SECOND):
        assert check_token(token, ISSUERS, now) == NOW + HOUR + SKEW
    with pytest.raises(UnauthorizedError, match="not good yet"):
        check_token(token, ISSUERS, NOW - SKEW - SECOND)
    with pytest.raises(UnauthorizedError, match="has expired"):
        check_token(token, ISSUERS, NOW + HOUR + SKEW)


def test_only_trusted_issuers_and_their_own_keys_count() -> None:
    with pytest.raises(UnauthorizedError, match="issuer is not one that the hub trusts"):
        check_token(OTHER.token(not_before=NOW), ISSUERS, NOW)
    impostor = TokenIssuer(ISSUER.name, KEY)
    with pytest.raises(UnauthorizedError, match="signature is not its issuer's"):
        check_token(impostor.token(not_before=NOW), ISSUERS, NOW)


def test_only_tokens_for_iot_hub_count() -> None:
    with pytest.raises(UnauthorizedError, match=r"audience is not https://iothubs\.azure\.net"):
        check_token(ISSUER.token(audience="https://management.azure.com", not_before=NOW), ISSUERS, NOW)


CLAIMS = {"iss": "me", "aud": "https://iothubs.azure.net", "nbf": NOW.timestamp(), "exp": NOW.timestamp() + 60}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"aud": ["https://iothubs.azure.net", "another"]}, None),
        ({"aud": []}, "audience"),
        ({"aud": {"https://iothubs.azure.net": 1}}, "audience"),
        ({"iss": None}, "issuer"),
        ({"iss": ["me"]}, "issuer"),
        ({"nbf": None}, "nbf is not a time"),
        ({"exp": None}, "exp is not a time"),
        ({"exp": "9999999999"}, "exp is not a time"),
        ({"exp": float("nan")}, "exp is not a time"),
        ({"exp": float("inf")}, "exp is not a time"),
        ({"exp": -1}, "exp is not a time"),
        ({"exp": 10**400}, "exp is not a time"),
    ],
)
def test_what_a_token_has_to_say(changed: dict[str, object], expected: str | None) -> None:
    token = _jwt.sign({**CLAIMS, **changed}, KEY)
    issuers = {"me": TokenIssuer("me", KEY)}
    if expected is None:
        assert check_token(token, issuers, NOW) > NOW
        return
    with pytest.raises(UnauthorizedError, match=expected) as caught:
        check_token(token, issuers, NOW)
    assert token.rpartition(".")[2] not in str(caught.value)


def test_what_is_no_token_is_unauthorized() -> None:
    with pytest.raises(UnauthorizedError, match="is not one"):
        check_token("a.b.secret!", ISSUERS, NOW)


async def test_the_credential_asks_for_the_audience_of_its_scope() -> None:
    credential = ISSUER.credential(timedelta(minutes=10))
    given = await credential.get_token("https://iothubs.azure.net/.default")
    now = datetime.now(UTC)
    end = check_token(given.token, ISSUERS, now)
    assert end == datetime.fromtimestamp(given.expires_on, UTC) + SKEW
    assert timedelta(minutes=9) < end - SKEW - now <= timedelta(minutes=10)
    assert given.token not in repr(given)
    other = await credential.get_token("https://vault.azure.net/.default")
    with pytest.raises(UnauthorizedError, match="audience"):
        check_token(other.token, ISSUERS, now)
