from __future__ import annotations

from typing import NamedTuple

import pytest

from c2dkit._errors import ConnectionStringError
from c2dkit._rules.entra import EntraCredential


class Given(NamedTuple):
    token: str
    expires_on: int


class Secretive:
    """A token credential whose repr shows what it should not."""

    async def get_token(self, *scopes: str) -> Given:
        return Given(" ".join(scopes), 0)

    def __repr__(self) -> str:
        return "the client secret"


@pytest.mark.parametrize(
    ("host", "port", "dial"),
    [
        ("hub.localtest", None, ("hub.localtest", None)),
        ("localhost", 5671, ("localhost", 5671)),
        ("[::1]", 1, ("::1", 1)),
    ],
)
def test_where_to_connect(host: str, port: int | None, dial: tuple[str, int | None]) -> None:
    assert EntraCredential(host_name=host, port=port, token_credential=Secretive()).dial == dial


def test_a_host_has_no_port_and_no_scheme() -> None:
    with pytest.raises(ConnectionStringError, match="the port of HostName is an argument of its own"):
        EntraCredential(host_name="localhost:5671", token_credential=Secretive())
    with pytest.raises(ConnectionStringError, match="HostName is not a host name"):
        EntraCredential(host_name="https://hub.localtest", token_credential=Secretive())


def test_the_token_credential_does_not_show() -> None:
    credential = EntraCredential(host_name="hub.localtest", token_credential=Secretive())
    assert repr(credential) == "EntraCredential(host_name='hub.localtest', port=None)"
