"""Who asks: every request carries its own proof, a token in ``Authorization`` or the certificate of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit._errors import UnauthorizedError

if TYPE_CHECKING:
    from c2dkit.hub._auth import Authenticator
    from c2dkit.hub._http_request import Request
    from c2dkit.hub._identities import Right

__all__ = ["require_device", "require_service"]


def require_device(auth: Authenticator, request: Request, device_id: str) -> None:
    """Check that a request comes from a device.

    Raises:
        UnauthorizedError: It does not.
    """
    if request.authorization is None:
        auth.require_certificate(request.certificate, device_id)
    else:
        auth.device(request.authorization, device_id)
    request.granted = True


def require_service(auth: Authenticator, request: Request, right: Right, path: str, *, faulty: bool = True) -> None:
    """Check that a request comes from a back end that has a right to an endpoint.

    Args:
        auth: Knows.
        request: The request.
        right: The right.
        path: The endpoint.
        faulty: Whether a fault that rejects tokens may befall it.

    Raises:
        UnauthorizedError: It does not.
    """
    if request.authorization is None:
        raise UnauthorizedError("the request has no Authorization header")
    auth.service(request.authorization, right, path, told=faulty)
    request.granted = True
