"""In which order messages are queued where one of them is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio

from c2dkit import CloudSender, DeviceReceiver, RetryPolicy
from c2dkit.hub import Fault, FaultKind

if TYPE_CHECKING:
    from c2dkit.hub import LocalHub

SOON = RetryPolicy(first_delay=timedelta(0), max_delay=timedelta(0))


async def test_a_message_waits_for_the_one_before_it_to_the_same_device(hub: LocalHub) -> None:
    trust = hub.ssl_context()
    throttled = hub.inject(Fault(FaultKind.THROTTLE, device="dev-1", times=1))
    with anyio.fail_after(20):
        async with (
            CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust, retry=SOON) as sender,
            anyio.create_task_group() as tasks,
        ):
            for body in ("first", "second"):
                tasks.start_soon(sender.send, "dev-1", body)
        assert await throttled.wait() == 1
        async with DeviceReceiver.from_connection_string(
            hub.device_connection_string("dev-1"), ssl_context=trust
        ) as messages:
            assert [(await anext(messages)).body for _ in range(2)] == [b"first", b"second"]
