from __future__ import annotations

import asyncio
import base64
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, cast

import anyio
import pytest

from c2dkit._errors import C2dError, ConnectError, ConnectionStringError, InvalidInputError, QuotaExceededError
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential
from c2dkit._rules.entra import AsyncTokenCredential, EntraCredential
from c2dkit._rules.sas import sign
from c2dkit.transports import _tokens
from c2dkit.transports._tokens import token_for

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = base64.b64encode(b"\x01" * 32).decode()


class Given(NamedTuple):
    token: object
    expires_on: object


def entra(get_token: Callable[..., object]) -> EntraCredential:
    """Sign in with what ``get_token`` gives, whatever that is."""

    class Provider:
        def get_token(self, *scopes: str) -> object:
            return get_token(*scopes)

    return EntraCredential(host_name="hub.localtest", token_credential=cast("AsyncTokenCredential", Provider()))


def giving(token: object, expires_on: object) -> EntraCredential:
    async def get_token(*_: str) -> Given:
        return Given(token, expires_on)

    return entra(get_token)


def failing(error: BaseException) -> EntraCredential:
    async def get_token(*_: str) -> Given:
        raise error

    return entra(get_token)


async def test_a_key_makes_a_signature() -> None:
    device = DeviceCredential(host_name="hub.localtest", device_id="d1", shared_access_key=KEY)
    token = await token_for(device, NOW)
    assert token is not None
    assert token.text == device.token(NOW).text
    assert (token.kind, token.audience) == ("sas", "hub.localtest/devices/d1")
    assert (token.renew_at, token.expires_at) == (NOW + timedelta(minutes=48), NOW + HOUR)


async def test_a_ready_made_signature_is_handed_over_until_it_has_expired() -> None:
    text = sign("hub.localtest", KEY, NOW + HOUR, "service").text
    service = ServiceCredential(host_name="hub.localtest", shared_access_signature=text)
    token = await token_for(service, NOW)
    assert token is not None
    assert (token.text, token.kind, token.audience) == (text, "sas", "hub.localtest")
    assert token.renew_at == token.expires_at == NOW + HOUR
    with pytest.raises(ConnectionStringError, match="expired"):
        await token_for(service, NOW + HOUR)


async def test_a_certificate_needs_no_token() -> None:
    assert await token_for(DeviceCredential(host_name="h", device_id="d1", x509=True), NOW) is None


async def test_entra_id_is_asked_for_iot_hub_and_gives_a_bearer_token() -> None:
    asked: list[tuple[str, ...]] = []

    async def get_token(*scopes: str) -> Given:
        asked.append(scopes)
        return Given("e30.e30.c2ln", int((NOW + HOUR).timestamp()))

    token = await token_for(entra(get_token), NOW)
    assert asked == [("https://iothubs.azure.net/.default",)]
    assert token is not None
    assert (token.text, token.kind) == ("Bearer e30.e30.c2ln", "bearer")
    assert token.audience == "https://iothubs.azure.net/.default"
    assert (token.renew_at, token.expires_at) == (NOW + timedelta(minutes=48), NOW + HOUR)
    assert "e30" not in repr(token)


async def test_a_failure_of_the_provider_keeps_its_cause_and_shows_only_its_type() -> None:
    error = ValueError("client_secret=hunter2")
    with pytest.raises(ConnectError, match=r"gave no token: it raised ValueError$") as caught:
        await token_for(failing(error), NOW)
    assert caught.value.__cause__ is error
    assert caught.value.transient
    assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))


async def test_a_provider_whose_own_work_was_cancelled_has_failed() -> None:
    async def get_token(*_: str) -> Given:
        work = asyncio.create_task(anyio.sleep_forever())
        asyncio.get_running_loop().call_soon(work.cancel)
        await work
        raise AssertionError

    with pytest.raises(ConnectError, match="it raised CancelledError"):
        await token_for(entra(get_token), NOW)


async def test_an_error_of_c2dkit_passes_as_it_is() -> None:
    mine = QuotaExceededError("of a provider that uses c2dkit")
    with pytest.raises(C2dError) as caught:
        await token_for(failing(mine), NOW)
    assert caught.value is mine


async def test_waiting_for_the_provider_can_be_cancelled() -> None:
    async def get_token(*_: str) -> Given:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0) as scope:
        await token_for(entra(get_token), NOW)
    assert scope.cancelled_caught


async def test_a_provider_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tokens, "TOKEN_SECONDS", 0.01)

    async def get_token(*_: str) -> Given:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(ConnectError, match="it raised TimeoutError"):
        await token_for(entra(get_token), NOW)


async def test_a_provider_that_is_not_async_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"is not async; take it from azure\.identity\.aio"):
        await token_for(entra(lambda *_: Given("e30", 0)), NOW)


@pytest.mark.parametrize("text", ["", None, b"e30", "a b", "secret\r\nX-Header: 1", "é", "x" * 16_385])
async def test_what_is_no_token_is_not_sent(text: object) -> None:
    with pytest.raises(InvalidInputError, match="token is not one") as caught:
        await token_for(giving(text, 0), NOW)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("expires_on", [None, "1795402252", float("nan"), float("inf"), 10**400, -(10**400)])
async def test_the_end_of_a_token_is_in_seconds(expires_on: object) -> None:
    with pytest.raises(InvalidInputError, match="expires_on"):
        await token_for(giving("e30", expires_on), NOW)
