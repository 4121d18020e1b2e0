"""The TLS context that a client connects with, and how a peer says that it does not take a client's certificate."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from c2dkit._errors import ConnectError, InvalidInputError, UnauthorizedError
from c2dkit._rules.credentials import DeviceCredential

if TYPE_CHECKING:
    from os import PathLike

    from c2dkit._rules.credentials import Credential

__all__ = ["certificate_refusal", "client_context", "not_trusted"]

# What a TLS alert (RFC 8446, 6.2) is about when it is about the other side's certificate, in OpenSSL's words.
_CERTIFICATE_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")

_certificate_of: WeakKeyDictionary[ssl.SSLContext, Path] = WeakKeyDictionary()
"""The file whose certificate was loaded into a context: a context presents one, that which was loaded last."""


def client_context(credential: Credential, ssl_context: ssl.SSLContext | None) -> ssl.SSLContext:
    """Return the context to connect with, which has the device's certificate where it signs in with one.

    Args:
        credential: Who connects. The certificate of a ``certificate_file`` is loaded into ``ssl_context``.
        ssl_context: What to trust; by default ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.

    Raises:
        InvalidInputError: The device has no certificate, or its files cannot be used, or the context has got the
            certificate of another device already.
    """
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    if not isinstance(credential, DeviceCredential) or not credential.x509:
        return context
    if credential.certificate_file is not None:
        _load(context, Path(credential.certificate_file), credential)
    elif ssl_context is None:
        raise InvalidInputError(
            "x509: the device has no certificate to sign in with; give certificate_file and key_file, or an "
            "ssl_context that has it"
        )
    return context


def not_trusted(error: Exception, *, host: str) -> ConnectError:
    """Return the error to raise where the certificate of ``host`` did not stand the test.

    It tells what ``SSL_CERT_FILE`` is: Python passes over a file that is not there, and a local hub may have made another.
    """
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error
    file = os.environ.get("SSL_CERT_FILE")
    there = "" if file is None or Path(file).is_file() else ", which is no file"
    now = "" if file is None else f" (it is {file!r} now{there})"
    return ConnectError(
        f"the certificate of {host} is not trusted ({why}). For a hub with a certificate authority of its own, set "
        f"SSL_CERT_FILE to its PEM file{now} or pass ssl_context=",
        transient=False,
    )


def certificate_refusal(error: BaseException | None, *, host: str) -> UnauthorizedError | None:
    """Return the error to raise where ``error``, or what caused it, is a TLS alert about the client's certificate.

    With TLS 1.3 that alert comes after the client's side of the handshake, so it may be met by any read or write.
    """
    while error is not None:
        reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
        if isinstance(reason, str) and "ALERT" in reason and any(word in reason for word in _CERTIFICATE_ALERTS):
            alert = reason.rpartition("ALERT_")[2].lower().replace("_", " ")
            return UnauthorizedError(f"{host} refused the client's certificate (TLS alert: {alert})")
        error = error.__cause__ or error.__context__
    return None


def _load(context: ssl.SSLContext, certificate_file: Path, credential: DeviceCredential) -> None:
    if _certificate_of.get(context, certificate_file) != certificate_file:
        raise InvalidInputError("ssl_context has the certificate of another device; each device needs its own context")
    _check_readable("certificate_file", certificate_file)
    if credential.key_file is not None:
        _check_readable("key_file", credential.key_file)
    try:
        # The password is given even where there is none: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate_file, credential.key_file, password=credential.key_password or "")
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"certificate_file and key_file cannot be used: {_explain(error)}") from error
    _certificate_of[context] = certificate_file


def _check_readable(name: str, file: str | PathLike[str]) -> None:
    try:
        Path(file).open("rb").close()
    except OSError as error:
        raise InvalidInputError(f"{name} cannot be read: {error.strerror}") from error


def _explain(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return "both must be PEM, and an encrypted key needs its key_password"  # OpenSSL says no more than "PEM lib"
