from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from c2dkit.hub import _jwt

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

# RFC 7515, appendix A.2: the example of a token signed with RS256, and the modulus of its key.
RFC_TOKEN = (
    "eyJhbGciOiJSUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
    "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDw"
    "usC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
RFC_MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNM"
    "sD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtd"
    "VMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def test_a_token_comes_back_as_it_was() -> None:
    token = _jwt.parse(_jwt.sign({"iss": "me", "exp": 1}, KEY))
    assert token.claims == {"iss": "me", "exp": 1}
    assert _jwt.verify(token, KEY.public_key())
    assert not _jwt.verify(token, OTHER_KEY.public_key())


def test_the_example_of_the_standard() -> None:
    modulus = int.from_bytes(base64.urlsafe_b64decode(RFC_MODULUS + "=="), "big")
    token = _jwt.parse(RFC_TOKEN)
    assert token.claims["iss"] == "joe"
    assert _jwt.verify(token, rsa.RSAPublicNumbers(65537, modulus).public_key())


def test_what_was_changed_does_not_verify() -> None:
    header, _, signature = _jwt.sign({"exp": 1}, KEY).split(".")
    assert not _jwt.verify(_jwt.parse(f"{header}.{encoded({'exp': 2})}.{signature}"), KEY.public_key())


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", None, 1])
def test_no_other_algorithm_is_taken(algorithm: object) -> None:
    _, claims, signature = _jwt.sign({"exp": 1}, KEY).split(".")
    with pytest.raises(ValueError, match="not signed with RS256"):
        _jwt.parse(f"{encoded({'alg': algorithm})}.{claims}.{signature}")


HEADER = encoded({"alg": "RS256"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "a.b",
        f"{HEADER}.{encoded([])}.AAAA",
        f"{HEADER}.!!.AAAA",
        f"{HEADER}.{encoded({})}.secret!",
        f"{HEADER}.{encoded({})}.{encoded({})}.AAAA",
        f"{HEADER}.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.AAAA",
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        _jwt.parse(text)
    assert "secret" not in str(caught.value)


def test_a_token_has_a_bound() -> None:
    with pytest.raises(ValueError, match="at most 16384 characters"):
        _jwt.parse(_jwt.sign({"groups": "x" * 12_000}, KEY))


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        _jwt.parse(text)
