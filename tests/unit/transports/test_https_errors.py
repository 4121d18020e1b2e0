from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from aiohttp.http_exceptions import LineTooLong
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from c2dkit._errors import (
    C2dError,
    ConnectError,
    ConnectionLostError,
    OutcomeUnknownError,
    PeerProtocolError,
    UnauthorizedError,
)
from c2dkit.transports._https_errors import MEANINGS, Meaning, error_from_aiohttp, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ConnectionKey("localhost", 443, True, True, None, None, None)
REQUEST = RequestInfo(
    URL("https://h/"), "GET", CIMultiDictProxy(CIMultiDict({"Authorization": "secret"})), URL("https://h/")
)


def classes(base: type[BaseException] = aiohttp.ClientError) -> Iterator[type[BaseException]]:
    for found in base.__subclasses__():
        yield found
        yield from classes(found)


def error_for(error: Exception, *, sent: bool = True, changes: bool = False) -> C2dError:
    return error_from_aiohttp(error, host="hub:443", sent=sent, changes=changes, doing="to complete the message")


def test_every_exception_of_aiohttp_has_a_meaning() -> None:
    found = set(classes())
    exported = {value for value in vars(client_exceptions).values() if isinstance(value, type)}
    assert {each for each in exported if issubclass(each, aiohttp.ClientError)} - {aiohttp.ClientError} <= found
    assert len(found) > 20
    assert [each.__name__ for each in found if meaning_of(each) is None] == []


def test_every_row_of_the_table_is_an_exception_of_aiohttp() -> None:
    names = {each.__name__ for each in classes()} | {"TimeoutError", "HttpProcessingError"}
    assert set(MEANINGS) - names <= {"UploadAbortedError"}  # newer than the oldest aiohttp that will do


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (aiohttp.ClientConnectorDNSError, Meaning.NOT_SENT),
        (aiohttp.ClientConnectorCertificateError, Meaning.NOT_SENT),
        (aiohttp.ClientProxyConnectionError, Meaning.NOT_SENT),
        (aiohttp.ClientHttpProxyError, Meaning.NOT_SENT),
        (aiohttp.ConnectionTimeoutError, Meaning.NOT_SENT),
        (aiohttp.ServerDisconnectedError, Meaning.CUT_OFF),
        (aiohttp.ClientOSError, Meaning.CUT_OFF),
        (aiohttp.SocketTimeoutError, Meaning.CUT_OFF),
        (TimeoutError, Meaning.CUT_OFF),
        (LineTooLong, Meaning.NONSENSE),
        (aiohttp.ClientPayloadError, Meaning.CUT_OFF),
        (aiohttp.ClientResponseError, Meaning.NONSENSE),
        (aiohttp.TooManyRedirects, Meaning.NONSENSE),
    ],
)
def test_what_an_exception_says(error: type[Exception], meaning: Meaning) -> None:
    assert meaning_of(error) is meaning


@pytest.mark.parametrize(
    ("sent", "changes", "expected"),
    [
        (False, False, ConnectError),
        (False, True, ConnectError),
        (True, False, ConnectionLostError),
        (True, True, OutcomeUnknownError),
    ],
)
def test_what_a_lost_connection_means_for_a_request(sent: bool, changes: bool, expected: type[C2dError]) -> None:
    lost = aiohttp.ServerDisconnectedError()
    error = error_for(lost, sent=sent, changes=changes)
    assert type(error) is expected
    assert error.__cause__ is lost
    assert error.transient
    assert "hub:443" in str(error)


def test_an_exception_that_nobody_knows_cuts_a_request_off() -> None:
    assert isinstance(error_for(aiohttp.ClientError(), changes=True), OutcomeUnknownError)


def test_nonsense_breaks_the_protocol_unless_something_may_have_been_done() -> None:
    nonsense = aiohttp.ClientResponseError(REQUEST, (), status=400, message="Expected HTTP/")
    error = error_for(nonsense)
    assert type(error) is PeerProtocolError
    assert "Expected HTTP/ (400)" in str(error)
    assert type(error_for(nonsense, changes=True)) is OutcomeUnknownError


def test_the_token_is_not_among_the_causes() -> None:
    nonsense = aiohttp.ClientResponseError(REQUEST, (), status=400, message="x")
    assert "secret" in repr(nonsense)
    assert error_for(nonsense).__cause__ is None


def test_no_way_to_the_hub_for_a_repeated_request_says_nothing_of_the_first() -> None:
    refused = aiohttp.ClientConnectorError(KEY, OSError(111, "refused"))
    assert type(error_for(refused, sent=True, changes=True)) is OutcomeUnknownError
    assert type(error_for(refused, sent=True)) is ConnectError


def test_no_way_to_the_hub_is_told_with_the_reason() -> None:
    error = error_for(aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), sent=False)
    assert type(error) is ConnectError
    assert str(error) == "cannot connect to localhost:443: [Errno 111] refused"
    assert error.transient


def test_a_certificate_that_is_not_trusted_is_no_passing_trouble() -> None:
    wrong = ssl.SSLCertVerificationError("self-signed")
    wrong.verify_message = "self-signed certificate"
    error = error_for(aiohttp.ClientConnectorCertificateError(KEY, wrong), sent=False)
    assert type(error) is ConnectError
    assert not error.transient
    assert "the certificate of hub:443 is not trusted (self-signed certificate)" in str(error)


@pytest.mark.parametrize(("status", "transient"), [(407, False), (403, False), (503, True)])
def test_a_proxy_that_refuses(status: int, transient: bool) -> None:
    error = error_for(aiohttp.ClientHttpProxyError(REQUEST, (), status=status, message="no"), sent=False)
    assert type(error) is ConnectError
    assert error.transient is transient
    assert str(error) == f"the proxy refused to connect to hub:443 (HTTP {status})"


def test_a_certificate_that_the_hub_refuses() -> None:
    alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    lost = aiohttp.ClientOSError()
    lost.__cause__ = alert
    assert isinstance(error_for(lost, changes=True), UnauthorizedError)
