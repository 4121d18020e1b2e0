from __future__ import annotations

import base64
import socket

import anyio
import pytest

from c2dkit import InvalidInputError
from c2dkit._proxy import Proxy, aiohttp_proxy, host_and_port, why_not_connected


@pytest.mark.parametrize(
    ("url", "proxy", "address"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128), "proxy:3128"),
        ("HTTP://proxy.example:3128/", Proxy("proxy.example", 3128), "proxy.example:3128"),
        ("http://[::1]:80", Proxy("::1", 80), "[::1]:80"),
        ("http://me:pass@10.0.0.1:65535", Proxy("10.0.0.1", 65535, "me", "pass"), "10.0.0.1:65535"),
        ("http://me@proxy:1", Proxy("proxy", 1, "me", ""), "proxy:1"),
        ("http://m%40e:p%3A%2F:q@proxy:1", Proxy("proxy", 1, "m@e", "p:/:q"), "proxy:1"),
    ],
)
def test_a_url_names_host_port_and_credentials(url: str, proxy: Proxy, address: str) -> None:
    assert Proxy.from_url(url) == proxy
    assert proxy.address == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy:3128",
        "https://me:s3cret@proxy:3128",
        "socks5://me:s3cret@proxy:3128",
        "http://me:s3cret@proxy",
        "http://me:s3cret@proxy:",
        "http://me:s3cret@proxy:0",
        "http://me:s3cret@proxy:65536",
        "http://me:s3cret@proxy:99999999",
        "http://me:s3cret@:3128",
        "http://me:s3cret@pro xy:3128",
        "http://me:s3cret@proxy:3128/path",
        "http://me:s3cret@proxy:3128?query",
        "http://me:s3cret@proxy:3128\r\nX: y",
        "http://me:s3cret@proxy:3128\n",
        "http://me:s3c@ret@proxy:3128",
        "http://me:s3c/ret@proxy:3128",
        "http://[proxy]:3128",
        "http://m%3Ae:s3cret@proxy:3128",
        "http://m%0De:s3cret@proxy:3128",
        "http://me:s3cret%00@proxy:3128",
    ],
)
def test_what_is_no_such_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Proxy.from_url(url)
    assert "s3c" not in str(caught.value)
    assert "proxy" in str(caught.value)


def test_the_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(Proxy.from_url("http://me:s3cret@proxy:3128"))


def test_credentials_are_sent_as_utf_8() -> None:
    assert Proxy.from_url("http://proxy:1").authorization is None
    authorization = Proxy.from_url("http://me:p%C3%A4ss@proxy:1").authorization
    assert authorization is not None
    scheme, _, encoded = authorization.partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", "me:päss".encode())


def test_aiohttp_gets_the_credentials_in_a_header_and_not_in_the_url() -> None:
    assert aiohttp_proxy(None) == {}
    assert aiohttp_proxy(Proxy.from_url("http://[::1]:80")) == {"proxy": "http://[::1]:80"}
    assert aiohttp_proxy(Proxy.from_url("http://me:pass@proxy:1")) == {
        "proxy": "http://proxy:1",
        "proxy_headers": {"Proxy-Authorization": "Basic bWU6cGFzcw=="},
    }


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert (host_and_port("::1", 1), host_and_port("hub", 2)) == ("[::1]:1", "hub:2")


@pytest.mark.parametrize(
    ("error", "cause", "says"),
    [
        (OSError("all failed"), ConnectionRefusedError(111, "Connect call failed"), "Connection refused"),
        (
            OSError("all failed"),
            ExceptionGroup("all", [TimeoutError(110, "x"), OSError(101, "y")]),
            "Connection timed out",
        ),
        (OSError("all failed"), None, "all failed"),
        (socket.gaierror(-2, "Name or service not known"), None, "[Errno -2] Name or service not known"),
        (anyio.EndOfStream(), None, "EndOfStream"),
    ],
)
def test_why_there_is_no_connection(error: Exception, cause: Exception | None, says: str) -> None:
    error.__cause__ = cause
    assert why_not_connected(error) == says
