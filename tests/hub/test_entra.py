"""Back ends that sign in with Microsoft Entra ID, over every transport of c2dkit, and who is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from c2dkit import (
    AsyncTokenCredential,
    CloudSender,
    ConnectError,
    DeviceReceiver,
    EntraCredential,
    FeedbackStatus,
    FeedbackStream,
    UnauthorizedError,
)
from c2dkit._wire import cbs
from c2dkit.hub import HubOptions, LocalHub, TokenIssuer
from c2dkit.testing.contract._bench import ONCE
from c2dkit.transports import AmqpServiceTransport, HttpsServiceTransport, PollingInterval

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from c2dkit.transports import ServiceTransport

    Make = Callable[[LocalHub, AsyncTokenCredential], ServiceTransport]

ISSUER = TokenIssuer.create()  # making its key takes a while
OTHER = TokenIssuer.create("https://elsewhere.localtest/")
AT_ONCE = PollingInterval.every(timedelta(milliseconds=1))


def entra(hub: LocalHub, credential: AsyncTokenCredential) -> EntraCredential:
    return EntraCredential(host_name="localhost", port=hub.port, token_credential=credential)


TRANSPORTS: dict[str, Make] = {
    "amqp": lambda hub, token: AmqpServiceTransport(entra(hub, token), ssl_context=hub.ssl_context()),
    "amqp-ws": lambda hub, token: AmqpServiceTransport(
        entra(hub, token), ssl_context=hub.ssl_context(), websocket=True
    ),
    "https": lambda hub, token: HttpsServiceTransport(
        entra(hub, token), ssl_context=hub.ssl_context(), polling=AT_ONCE
    ),
}


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    options = HubOptions(feedback_interval=timedelta(0))
    async with LocalHub(options=options, issuers=[ISSUER]) as hub:
        yield hub


@pytest.fixture(params=TRANSPORTS)
def make(request: pytest.FixtureRequest) -> Make:
    name: str = request.param
    return TRANSPORTS[name]


class Given:
    """A token as a credential of azure.identity.aio gives it."""

    def __init__(self, token: str, expires_on: int) -> None:
        self.token = token
        self.expires_on = expires_on


class Handing:
    """A token credential that has one token, and counts how often it is asked."""

    def __init__(self, token: str) -> None:
        self.asked = 0
        self._token = token

    async def get_token(self, *_: str) -> Given:
        self.asked += 1
        return Given(self._token, int(datetime.now(UTC).timestamp()) + 3600)


async def test_a_message_and_its_feedback(hub: LocalHub, make: Make) -> None:
    credential = ISSUER.credential()
    with anyio.fail_after(20):
        async with CloudSender(TRANSPORTS["amqp"](hub, credential), retry=ONCE) as sender:
            receipt = await sender.send("dev-1", "hello", ack="full")
        async with DeviceReceiver.from_connection_string(
            hub.device_connection_string("dev-1"),
            ssl_context=hub.ssl_context(),
            retry=ONCE,
        ) as receiver:
            await (await anext(aiter(receiver))).complete()
        async with FeedbackStream(make(hub, credential), retry=ONCE) as feedback:
            record = await anext(aiter(feedback))
    assert (record.original_message_id, record.status) == (receipt.message_id, FeedbackStatus.SUCCESS)


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_what_is_asked_of_the_registry(hub: LocalHub, name: str) -> None:
    transport = TRANSPORTS[name](hub, ISSUER.credential())
    async with CloudSender(TRANSPORTS["amqp"](hub, ISSUER.credential()), retry=ONCE) as sender:
        await sender.send("dev-1", "hello")
    assert await transport.queue_depth("dev-1") == 1
    assert await transport.purge("dev-1") == 1


HOUR = timedelta(hours=1)
REFUSED: dict[str, Callable[[], str]] = {
    "the token has expired": lambda: ISSUER.token(not_before=datetime.now(UTC) - HOUR - timedelta(minutes=6)),
    "the token is not good yet": lambda: ISSUER.token(not_before=datetime.now(UTC) + timedelta(minutes=6)),
    "the token's issuer is not one that the hub trusts": OTHER.token,
    "the token's audience is not": lambda: ISSUER.token(audience="https://management.azure.com"),
    "the token's signature is not its issuer's": lambda: (
        f"{ISSUER.token().rpartition('.')[0]}.{OTHER.token().rpartition('.')[2]}"
    ),
    "the token is not one": lambda: "s3cret",
}


@pytest.mark.parametrize(("reason", "token"), REFUSED.items())
async def test_a_token_that_does_not_hold_is_refused(
    hub: LocalHub, make: Make, reason: str, token: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "c2dkit")
    text = token()
    with anyio.fail_after(20), pytest.raises(UnauthorizedError, match=reason) as caught:
        async with FeedbackStream(make(hub, Handing(text)), retry=ONCE) as stream:
            await anext(aiter(stream))
    assert not caught.value.transient
    assert reason in caplog.text
    for shown in (str(caught.value), repr(caught.value), caplog.text):
        assert text.rpartition(".")[2] not in shown


async def test_five_minutes_between_the_clocks_are_borne(hub: LocalHub, make: Make) -> None:
    now = datetime.now(UTC)
    for start in (now + timedelta(minutes=4), now - HOUR - timedelta(minutes=4)):
        assert await make(hub, Handing(ISSUER.token(not_before=start))).queue_depth("dev-1") == 0


async def test_a_hub_without_issuers_refuses_every_token(make: Make) -> None:
    async with LocalHub() as hub:
        with anyio.fail_after(20), pytest.raises(UnauthorizedError, match="not one that the hub trusts"):
            async with FeedbackStream(make(hub, ISSUER.credential()), retry=ONCE) as stream:
                await anext(aiter(stream))


async def test_a_provider_that_fails_is_told_from_a_hub_that_refuses(hub: LocalHub, make: Make) -> None:
    class Failing:
        async def get_token(self, *_: str) -> Given:
            raise PermissionError("client_secret=hunter2")

    with anyio.fail_after(20), pytest.raises(ConnectError, match=r"it raised PermissionError$") as caught:
        async with FeedbackStream(make(hub, Failing()), retry=ONCE) as stream:
            await anext(aiter(stream))
    assert isinstance(caught.value.__cause__, PermissionError)
    assert hub.connection_count == 0


async def test_the_token_is_put_as_one_of_entra_id(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[cbs.PutToken] = []

    def decode(payload: bytes) -> cbs.PutToken:
        seen.append(cbs.decode_put_token(payload))
        return seen[-1]

    monkeypatch.setattr("c2dkit.hub._amqp_cbs.decode_put_token", decode)
    token = ISSUER.token()
    async with CloudSender(TRANSPORTS["amqp"](hub, Handing(token)), retry=ONCE):
        pass
    assert [request[1:] for request in seen] == [("https://iothubs.azure.net/.default", f"Bearer {token}", "bearer")]


async def test_a_token_is_asked_for_at_each_connection_and_not_at_each_message(hub: LocalHub) -> None:
    credential = Handing(ISSUER.token())
    for connections in (1, 2):
        async with CloudSender(TRANSPORTS["amqp"](hub, credential), retry=ONCE) as sender:
            await sender.send("dev-1", "one")
            await sender.send("dev-1", "two")
        assert credential.asked == connections
