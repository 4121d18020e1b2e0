"""Proves ``_requirements/operations.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from c2dkit import CloudSender, DeviceNotFoundError, FeedbackStatus, FeedbackStream, UnsupportedOperationError
from c2dkit.testing.contract._bench import ONCE
from c2dkit.testing.contract._mark import requirement
from c2dkit.transports import ServiceOperation

if TYPE_CHECKING:
    from c2dkit.testing.contract._bench import BackEnd
    from c2dkit.transports import ServiceTransport

__all__ = ["TestOperations"]


async def perform(transport: ServiceTransport, operation: ServiceOperation) -> object:
    """Do it, and return what came of it."""
    match operation:
        case ServiceOperation.SEND:
            async with CloudSender(transport, retry=ONCE) as sender:
                return (await sender.send("dev-2", "x")).device_id
        case ServiceOperation.FEEDBACK:
            async with FeedbackStream(transport, retry=ONCE) as stream:
                return (await anext(stream)).status
        case ServiceOperation.PURGE:
            async with CloudSender(transport, retry=ONCE) as sender:
                return await sender.purge("dev-1")
        case ServiceOperation.QUEUE_DEPTH:
            async with CloudSender(transport, retry=ONCE) as sender:
                return await sender.queue_depth("dev-1")


RESULTS = {
    ServiceOperation.SEND: "dev-2",
    ServiceOperation.FEEDBACK: FeedbackStatus.REJECTED,
    ServiceOperation.PURGE: 1,
    ServiceOperation.QUEUE_DEPTH: 1,
}


@pytest.mark.anyio
class TestOperations:
    @requirement("operation:offered")
    @pytest.mark.parametrize("operation", ServiceOperation)
    async def test_offered(self, back_end: BackEnd, operation: ServiceOperation) -> None:
        back_end.hub.finish(back_end.send(), FeedbackStatus.REJECTED)
        waiting = back_end.send()
        transport = back_end.transport()
        if operation in transport.operations:
            assert await perform(transport, operation) == RESULTS[operation]
            return
        with pytest.raises(UnsupportedOperationError) as caught:
            await perform(transport, operation)
        assert (caught.value.operation, caught.value.transport) == (operation, transport.name)
        assert caught.value.supported == transport.operations
        assert back_end.hub.connection_count == 0
        assert (back_end.waiting(), back_end.waiting("dev-2")) == ([(waiting, 0)], [])

    @requirement("operation:purge")
    async def test_purge(self, back_end: BackEnd) -> None:
        sent = [back_end.send() for _ in range(3)]
        other = back_end.send(device_id="dev-2")
        async with CloudSender(back_end.transport(), retry=ONCE) as sender:
            assert await sender.purge("dev-1") == 3
            assert await sender.purge("dev-1") == 0
        assert (back_end.waiting(), back_end.waiting("dev-2")) == ([], [(other, 0)])
        assert dict(back_end.hub.outcomes()) == dict.fromkeys(sent, FeedbackStatus.PURGED)

    @requirement("operation:queue-depth")
    async def test_queue_depth(self, back_end: BackEnd) -> None:
        async with CloudSender(back_end.transport(), retry=ONCE) as sender:
            assert await sender.queue_depth("dev-1") == 0
            for _ in range(3):
                back_end.send()
            assert await sender.queue_depth("dev-1") == 3
            assert await sender.queue_depth("dev-2") == 0

    @requirement("operation:unknown-device")
    async def test_unknown_device(self, back_end: BackEnd) -> None:
        async with CloudSender(back_end.transport(), retry=ONCE) as sender:
            for operation in (sender.purge, sender.queue_depth):
                with pytest.raises(DeviceNotFoundError) as caught:
                    await operation("nobody")
                assert (caught.value.hub_code, caught.value.transient) == (404001, False)
