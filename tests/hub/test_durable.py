"""A hub with a folder: what is in it after an end, in order or not, and that nothing is said before it is there."""

from __future__ import annotations

import shutil
import threading
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
import trustme

from c2dkit import (
    C2dError,
    ClosedError,
    CloudSender,
    DeviceReceiver,
    FeedbackStatus,
    FeedbackStream,
    HubDataError,
    ServiceError,
)
from c2dkit._models import Message
from c2dkit._protocols import mqtt
from c2dkit.hub import HubOptions, LocalHub, Right
from c2dkit.testing.contract._bench import ONCE
from tests.hub.test_mqtt_door import connected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from pathlib import Path

OPTIONS = HubOptions(feedback_interval=timedelta(0), default_ttl=timedelta(minutes=5))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def hub_in(path: Path, *devices: str, port: int = 0) -> LocalHub:
    return LocalHub(devices=devices, data_dir=path, amqp_port=port, options=OPTIONS)


def sender_to(hub: LocalHub) -> CloudSender:
    return CloudSender.from_connection_string(hub.service_connection_string, ssl_context=hub.ssl_context(), retry=ONCE)


def receiver_of(hub: LocalHub, device_id: str = "dev-1", transport: str = "amqp") -> DeviceReceiver[str]:
    return DeviceReceiver.from_connection_string(
        hub.device_connection_string(device_id),
        transport=transport,
        payload_type=str,
        ssl_context=hub.ssl_context(),
        retry=ONCE,
    )


@asynccontextmanager
async def sending(hub: LocalHub) -> AsyncGenerator[CloudSender]:
    with anyio.fail_after(20):
        async with sender_to(hub) as sender:
            yield sender


async def test_clients_need_not_notice_that_the_hub_was_away(data: Path) -> None:
    async with hub_in(data, "dev-1", "dev-2") as hub:
        hub.add_device("dev-3", ca_signed=True)
        hub.disable_device("dev-2")
        before = facts(hub)
        pem, trust, port = hub.ca_file.read_bytes(), hub.ssl_context(), hub.port
        service = hub.service_connection_string
    assert (data / "ca.pem").read_bytes() == pem
    async with hub_in(data, "dev-1", "dev-4", port=port) as hub:
        after = facts(hub)
        fourth = after.pop("dev-4")
        assert after == before
        assert not hub._state.device("dev-2").enabled
        with anyio.fail_after(20):
            async with CloudSender.from_connection_string(service, ssl_context=trust, retry=ONCE) as sender:
                await sender.send("dev-3", "hello")
    async with hub_in(data, port=port) as hub:
        assert facts(hub)["dev-4"] == fourth
        assert hub.queue_depth("dev-3") == 1


def facts(hub: LocalHub) -> dict[str, object]:
    return {
        each.device_id: (each, hub.device_connection_string(each.device_id)) for each in hub._state.devices.values()
    }


async def test_messages_and_the_numbers_that_they_are_given(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
        await sender.send("dev-1", "first", properties={"a": "ä", "empty": ""}, correlation_id="c", user_id="u")
        await sender.send("dev-1", "second")
        async with receiver_of(hub) as receiver:
            await (await anext(receiver)).abandon()
            await anext(receiver)  # the lock is void after the end, and has not been counted
    async with hub_in(data) as hub, sending(hub) as sender, receiver_of(hub) as receiver:
        first, second = await anext(receiver), await anext(receiver)
        assert (first.payload, first.sequence_number, first.delivery_count) == ("first", 1, 1)
        assert first.properties == {"a": "ä", "empty": ""}
        assert (first.correlation_id, first.user_id, first.content_type) == ("c", "u", "text/plain")
        assert (second.payload, second.sequence_number, second.delivery_count) == ("second", 2, 0)
        await first.complete()
        await second.complete()
    async with hub_in(data) as hub, sending(hub) as sender:
        await sender.send("dev-1", "third")
        async with receiver_of(hub) as receiver:
            assert (await anext(receiver)).sequence_number == 3


async def test_feedback(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
        await sender.send("dev-1", "hello", ack="full", message_id="m")
        async with receiver_of(hub) as receiver:
            await (await anext(receiver)).reject()
    async with hub_in(data) as hub:
        assert await next_record(hub) == ("m", FeedbackStatus.REJECTED)
    async with hub_in(data) as hub:
        assert hub._state.receive_feedback("nobody") is None


async def next_record(hub: LocalHub) -> tuple[str, FeedbackStatus]:
    with anyio.fail_after(20):
        async with FeedbackStream.from_connection_string(
            hub.service_connection_string,
            ssl_context=hub.ssl_context(),
            retry=ONCE,
        ) as feedback:
            record = await anext(feedback)
    return record.original_message_id, record.status


async def test_time_passes_while_the_hub_is_away_and_never_backwards(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
        hub.clock.advance(timedelta(minutes=20))
        await sender.send("dev-1", "hello", ack="negative", message_id="m")
        latest = hub.clock.now()
    hub = hub_in(data)
    hub.clock.advance(timedelta(minutes=26))  # six more, as if it had been away for so long
    async with hub:
        assert hub.queue_depth("dev-1") == 0
        assert await next_record(hub) == ("m", FeedbackStatus.EXPIRED)
    async with hub_in(data) as hub:
        assert hub.clock.now() > latest + timedelta(minutes=6)


async def test_policies_and_keys_that_were_put_in_the_place_of_others(data: Path) -> None:
    hub = hub_in(data, "dev-1")
    hub.add_policy("early", [Right.SERVICE_CONNECT])
    async with hub:
        hub.add_policy("late", [Right.REGISTRY_READ])
        hub.rotate_policy_key("service", "primary")
        hub.rotate_device_key("dev-1", "primary")
        policies, device = dict(hub._policies.by_name), hub.device_connection_string("dev-1")
        port = hub.port
    async with hub_in(data, port=port) as hub:
        assert hub._policies.by_name == policies
        assert hub.device_connection_string("dev-1") == device


async def test_certificate_authorities(data: Path) -> None:
    first, second = (trustme.CA().cert_pem.bytes() for _ in range(2))
    hub = hub_in(data)
    hub.add_certificate_authority(first)
    async with hub:
        hub.add_certificate_authority(second)
    async with hub_in(data) as hub:
        assert hub._data.authorities == [first, second]


async def test_an_mqtt_session_goes_on_and_what_was_delivered_before_is_marked(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub, connected(hub) as client:
        await client.subscribe()
        hub._state.send(Message(b"hello", to="/devices/dev-1/messages/devicebound"))
        assert not (await client.receive()).dup
    async with hub_in(data) as hub, connected(hub, present=True) as client:
        event = await client.next(mqtt.PublishReceived)
        assert (event.payload, event.dup) == (b"hello", True)
    async with hub_in(data) as hub:
        hub.remove_device("dev-1")
        hub.add_device("dev-1")
        async with connected(hub, present=False):
            pass


async def test_a_clean_session_leaves_nothing(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub:
        async with connected(hub) as client:
            await client.subscribe()
        async with connected(hub, clean_session=True) as client:
            await client.subscribe()
    async with hub_in(data) as hub, connected(hub, present=False):
        pass


async def test_what_was_done_before_the_hub_listens_is_kept_too(data: Path) -> None:
    hub = hub_in(data, "dev-1")
    hub.add_device("dev-2")
    with pytest.raises(ClosedError):
        hub.ssl_context()
    with pytest.raises(ClosedError):
        hub.issue_certificate("dev-2")
    async with hub:
        first = hub.device_connection_string("dev-2")
        port = hub.port
    async with hub_in(data, port=port) as again:
        assert again.device_connection_string("dev-2") == first
        with pytest.raises(ServiceError, match="there is a device 'dev-2' already"):
            again.add_device("dev-2")


async def test_a_hub_may_be_entered_again(data: Path) -> None:
    hub = hub_in(data, "dev-1")
    for count in range(3):
        async with hub, sending(hub) as sender:
            assert hub.queue_depth("dev-1") == count
            await sender.send("dev-1", "hello")


async def test_one_hub_a_folder(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub:
        with pytest.raises(HubDataError, match="another hub uses"):
            async with hub_in(data):
                pass
        async with sending(hub) as sender:
            await sender.send("dev-1", "hello")
    async with hub_in(data) as hub:
        assert hub.queue_depth("dev-1") == 1


async def test_a_start_that_is_cancelled_leaves_the_folder_to_others(data: Path) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with hub_in(data):
            pass
    with anyio.fail_after(20):
        while True:  # the thread closes what it has opened in its own time
            try:
                async with hub_in(data, "dev-1"):
                    return
            except HubDataError:
                await anyio.lowlevel.checkpoint()


@pytest.fixture
def held() -> Generator[Callable[[LocalHub], threading.Event]]:
    """Hold up the disk of a hub until the event is set."""
    events: list[threading.Event] = []

    def hold(hub: LocalHub) -> threading.Event:
        assert hub._data.store is not None
        event = threading.Event()
        events.append(event)
        hub._data.store._thread.submit(event.wait)
        return event

    yield hold
    for event in events:
        event.set()


async def complete(transport: str, hub: LocalHub) -> None:
    async with receiver_of(hub, transport=transport) as receiver:
        await (await anext(receiver)).complete()


async def receive_over_mqtt(hub: LocalHub) -> None:
    async with connected(hub) as client:
        await client.subscribe()
        await client.receive()


async def send(hub: LocalHub) -> None:
    async with sender_to(hub) as sender:
        await sender.send("dev-1", "another")


@pytest.mark.parametrize(
    "work",
    [
        send,
        partial(complete, "amqp"),
        partial(complete, "amqp-ws"),
        partial(complete, "https"),
        receive_over_mqtt,
    ],
    ids=["send", "amqp", "amqp-ws", "https", "mqtt"],
)
async def test_nothing_is_said_before_it_is_on_the_disk(
    data: Path, held: Callable[[LocalHub], threading.Event], work: Callable[[LocalHub], Awaitable[None]]
) -> None:
    over = False

    async def run(hub: LocalHub) -> None:
        nonlocal over
        await work(hub)
        over = True

    async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
        await sender.send("dev-1", "hello")
        assert hub._data.store is not None
        await hub._data.store.committed()
        event = held(hub)
        async with anyio.create_task_group() as group:
            group.start_soon(run, hub)
            while hub._data.store._on_its_way is None:  # until there is something to write
                await anyio.lowlevel.checkpoint()
            with anyio.move_on_after(0.2):
                await anyio.sleep_forever()
            told = over
            event.set()
            assert not told


async def test_what_was_said_is_there_after_a_crash(data: Path, tmp_path: Path) -> None:
    async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
        for number in range(20):
            await sender.send("dev-1", "hello")
            copy = tmp_path / str(number)
            shutil.copytree(data, copy)
            async with hub_in(copy) as other:
                assert other.queue_depth("dev-1") == number + 1


async def test_many_sends_share_a_transaction(data: Path) -> None:
    async with hub_in(data, *(f"d{number}" for number in range(10))) as hub, sending(hub) as sender:
        assert hub._data.store is not None
        before = hub._data.store.commits
        async with anyio.create_task_group() as group:
            for number in range(400):
                group.start_soon(sender.send, f"d{number % 10}", "hello")
        assert 1 <= hub._data.store.commits - before < 100


async def fill_the_disk(hub: LocalHub) -> None:
    store = hub._data.store
    assert store is not None

    def fill() -> None:
        (pages,) = store._folder.database.execute("PRAGMA page_count").fetchone()
        store._folder.database.execute(f"PRAGMA max_page_count = {pages}")

    await store.committed()
    store._thread.submit(fill).result()


async def test_a_full_disk_ends_the_hub_and_confirms_nothing(data: Path) -> None:
    async def use_and_wait() -> None:
        async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
            await sender.send("dev-1", "small")
            await fill_the_disk(hub)
            with pytest.raises(C2dError):
                await sender.send("dev-1", b"x" * 60_000)
            await hub.wait_failed()

    with pytest.raises(HubDataError, match=r"is full.*make room") as raised:
        await use_and_wait()
    assert raised.value.path == data
    async with hub_in(data) as hub:
        assert hub.queue_depth("dev-1") == 1


async def test_a_full_disk_is_a_note_on_the_error_that_it_caused(data: Path) -> None:
    async def use() -> None:
        async with hub_in(data, "dev-1") as hub, sending(hub) as sender:
            await fill_the_disk(hub)
            await sender.send("dev-1", b"x" * 60_000)

    with pytest.raises(C2dError) as raised:
        await use()
    assert not isinstance(raised.value, HubDataError)
    assert any("the hub cannot write to" in note for note in raised.value.__notes__)


async def test_without_a_folder_nothing_is_written_and_nothing_fails() -> None:
    async with LocalHub() as hub:
        assert hub._data.store is None
        with anyio.move_on_after(0.05) as scope:
            await hub.wait_failed()
        assert scope.cancelled_caught
    with pytest.raises(ClosedError):
        await hub.wait_failed()


async def test_the_keys_are_not_in_an_error(data: Path) -> None:
    async with hub_in(data, "dev-1") as hub:
        key = hub._state.device("dev-1").primary_key
    database = data / "hub.sqlite3"
    content = database.read_bytes()
    assert content.count(key.encode()) == 1
    database.write_bytes(content.replace(b'"enabled":true', b'"enabled":trxe'))
    with pytest.raises(HubDataError) as raised:
        async with hub_in(data):
            pass
    seen: BaseException | None = raised.value
    while seen is not None:
        assert key not in repr(seen)
        seen = seen.__cause__ or seen.__context__
