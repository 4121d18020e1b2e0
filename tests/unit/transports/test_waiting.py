from __future__ import annotations

import asyncio

import anyio
import pytest

from c2dkit._errors import C2dError, ConnectError, ConnectionLostError, PeerProtocolError, ThrottledError
from c2dkit._protocols import amqp, mqtt
from c2dkit.transports import _waiting
from c2dkit.transports._waiting import answer, fail, link_error


@pytest.mark.parametrize(
    ("cause", "expected", "transient"),
    [
        (amqp.AmqpProtocolError("bad frame"), PeerProtocolError, False),
        (mqtt.MqttProtocolError("bad packet"), PeerProtocolError, False),
        (amqp.AmqpSilenceError("nothing was heard"), ConnectionLostError, True),
        (mqtt.MqttSilenceError("no PINGRESP"), ConnectionLostError, True),
        (anyio.BrokenResourceError(), ConnectionLostError, True),
        (OSError("reset"), ConnectionLostError, True),
        (None, ConnectionLostError, True),
    ],
)
def test_what_ended_a_connection_becomes_an_error(
    cause: Exception | None, expected: type[C2dError], *, transient: bool
) -> None:
    error = link_error(cause, host="hub:5671")
    assert type(error) is expected
    assert (error.transient, error.__cause__) == (transient, cause)
    assert "hub:5671" in str(error)


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = ThrottledError("slow down")
    assert link_error(error, host="hub") is error


async def test_no_answer_in_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_waiting, "ANSWER_SECONDS", 0.01)
    with pytest.raises(ConnectError, match=r"hub did not answer the token within 0\.01 s"):
        await answer(asyncio.Event().wait(), host="hub", doing="the token")


async def test_a_failure_that_nobody_waits_for_makes_no_noise() -> None:
    loop = asyncio.get_running_loop()
    noise: list[object] = []
    loop.set_exception_handler(lambda _, context: noise.append(context))
    waiting: asyncio.Future[None] = loop.create_future()
    fail(waiting, ConnectionLostError("gone"))
    fail(waiting, ConnectionLostError("twice"))
    del waiting
    await asyncio.sleep(0)
    assert noise == []
