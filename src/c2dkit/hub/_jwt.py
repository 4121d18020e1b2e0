"""JSON Web Tokens with RSA signatures (RFC 7519, RFC 7515; algorithm RS256), as far as a hub needs them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["Jwt", "parse", "sign", "verify"]

MAX_TOKEN_LENGTH: Final = 16_384
ALGORITHM: Final = "RS256"


class Jwt(NamedTuple):
    """A token that has been read, and not verified.

    Attributes:
        claims: What it says.
        signed: What the signature is for.
        signature: The signature.
    """

    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def sign(claims: Mapping[str, object], key: RSAPrivateKey) -> str:
    """Make a token, which is a secret."""
    signed = f"{_encode_json({'alg': ALGORITHM, 'typ': 'JWT'})}.{_encode_json(claims)}"
    return f"{signed}.{_encode(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def parse(token: str) -> Jwt:
    """Read a token.

    Raises:
        ValueError: It is none, or is signed in another way. The error does not show it.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise ValueError(f"a token has at most {MAX_TOKEN_LENGTH} characters")
    signed, _, signature = token.rpartition(".")
    header, _, claims = signed.partition(".")
    # What the header names is not obeyed but compared (RFC 8725, 3.1): a token may not choose how it is verified.
    if _decode_json(header).get("alg") != ALGORITHM:
        raise ValueError(f"the token is not signed with {ALGORITHM}")
    return Jwt(_decode_json(claims), signed.encode(), _decode(signature))


def verify(token: Jwt, key: RSAPublicKey) -> bool:
    """Say whether the owner of a key has signed a token."""
    try:
        key.verify(token.signature, token.signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _encode_json(document: Mapping[str, object]) -> str:
    return _encode(json.dumps(document, separators=(",", ":")).encode())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode_json(text: str) -> Mapping[str, object]:
    try:
        document: object = json.loads(_decode(text))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueError("the token is not one: it has to be header.claims.signature, the first two in JSON")  # noqa: TRY004 - data
    return cast("dict[str, object]", document)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise ValueError("the token is not one: a part of it is not base64url") from None
