"""A hub in a thread of its own, used as programs do that have no event loop, or another one."""

from __future__ import annotations

import http.client
import inspect
import multiprocessing
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import anyio
import pytest

from c2dkit import (
    ClosedError,
    CloudSender,
    ConnectionLostError,
    DeviceCredential,
    DeviceNotFoundError,
    DeviceReceiver,
    InvalidInputError,
    ServiceError,
    UnauthorizedError,
)
from c2dkit.hub import BackgroundClock, BackgroundHub, HubClock, HubOptions, LocalHub
from c2dkit.testing.contract._bench import ONCE
from tests.hub.test_durable import fill_the_disk

if TYPE_CHECKING:
    from pathlib import Path

THREAD = "c2dkit-hub"
QUEUE = "/devices/dev-1/messages/deviceBound"


def hub_threads() -> int:
    return [thread.name for thread in threading.enumerate()].count(THREAD)


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


async def send(hub: BackgroundHub, body: str = "hello") -> None:
    trust = hub.ssl_context()
    async with CloudSender.from_connection_string(
        hub.service_connection_string, ssl_context=trust, retry=ONCE
    ) as sender:
        await sender.send("dev-1", body)


def receiver(hub: BackgroundHub) -> DeviceReceiver[object]:
    device = hub.device_connection_string("dev-1")
    return DeviceReceiver.from_connection_string(device, ssl_context=hub.ssl_context(), retry=ONCE)


def test_a_client_that_blocks() -> None:
    with BackgroundHub(LocalHub()) as hub:
        anyio.run(send, hub)
        assert hub.queue_depth("dev-1") == 1
        credential = DeviceCredential.from_connection_string(hub.device_connection_string("dev-1"))
        headers = {"Authorization": credential.token(datetime.now(UTC)).text}
        client = http.client.HTTPSConnection(hub.host, hub.port, context=hub.ssl_context(), timeout=10)
        client.request("GET", f"{QUEUE}?api-version=2021-04-12", headers=headers)
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"hello")
        lock_token = answer.headers["ETag"].strip('"')
        client.request("DELETE", f"{QUEUE}/{lock_token}?api-version=2021-04-12", headers=headers)
        assert client.getresponse().status == 204
        client.close()
        assert hub.queue_depth("dev-1") == 0


def test_the_clock() -> None:
    with BackgroundHub(LocalHub(options=HubOptions(default_ttl=timedelta(minutes=5)))) as hub:
        anyio.run(send, hub)
        before = hub.clock.now()
        hub.clock.advance(timedelta(minutes=4))
        assert timedelta(minutes=4) <= hub.clock.now() - before < timedelta(minutes=5)
        assert hub.queue_depth("dev-1") == 1
        hub.clock.advance(timedelta(minutes=1))
        assert hub.queue_depth("dev-1") == 0
        with pytest.raises(InvalidInputError, match="forward"):
            hub.clock.advance(timedelta(seconds=-1))


def test_devices() -> None:
    with BackgroundHub(LocalHub(devices=[])) as hub:
        with pytest.raises(DeviceNotFoundError):
            hub.device_connection_string("dev-1")
        hub.add_device("dev-1")
        with pytest.raises(ServiceError):
            hub.add_device("dev-1")
        hub.disable_device("dev-1")
        with pytest.raises(UnauthorizedError):
            anyio.run(receive_nothing, hub)
        hub.enable_device("dev-1")
        anyio.run(receive_nothing, hub)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_is_told_that_the_hub_is_not_there() -> None:
    with BackgroundHub(LocalHub()) as hub:
        child = multiprocessing.get_context("fork").Process(target=in_a_fork, args=(hub,))
        child.start()
        child.join(10)
        child.kill()  # which would hang
        child.join()
        assert child.exitcode == 0
        assert hub.port


def in_a_fork(hub: BackgroundHub) -> None:
    """Ask the hub in a process that has copied its memory, but not its thread."""
    with pytest.raises(ClosedError, match="another process"):
        hub.connection_count  # noqa: B018
    hub.__exit__(None, None, None)


async def receive_nothing(hub: BackgroundHub) -> None:
    async with receiver(hub):
        assert hub.connection_count


async def test_beside_a_running_event_loop_nothing_waits_for_itself() -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(30))
        with BackgroundHub(LocalHub()) as hub:
            async with receiver(hub) as device:
                await send(hub)
                await (await anext(device)).complete()
                assert hub.queue_depth("dev-1") == 0
                hub.disconnect_all()
                assert hub.connection_count == 0
                with pytest.raises(ConnectionLostError):
                    await anext(device)
            device = await stack.enter_async_context(receiver(hub))
        with pytest.raises(ConnectionLostError):  # the hub's end did not wait for the device's
            await anext(device)


def fail(_: LocalHub) -> NoReturn:
    raise KeyError("mine")


def test_call_leads_to_everything_else() -> None:
    with BackgroundHub(LocalHub()) as hub:
        hub.call(LocalHub.add_device, "dev-2", ca_signed=True)
        assert b"BEGIN CERTIFICATE" in hub.call(LocalHub.issue_certificate, "dev-2")
        assert hub.call(lambda local: local.ports) == (hub.port,)
        assert hub.call(lambda _: threading.current_thread().name) == THREAD
        assert hub.call(LocalHub.disconnect_all) is None  # a coroutine function, awaited
        with pytest.raises(KeyError, match="mine"):
            hub.call(fail)
        assert hub.queue_depth("dev-2") == 0


def test_many_threads() -> None:
    with BackgroundHub(LocalHub(devices=[])) as hub, ThreadPoolExecutor(8) as threads:
        names = [f"dev-{number}" for number in range(100)]
        list(threads.map(hub.add_device, names))
        assert list(threads.map(hub.queue_depth, names)) == [0] * 100


def test_the_end_frees_port_file_and_thread() -> None:
    with BackgroundHub(LocalHub()) as hub:
        port, ca_file = hub.port, hub.ca_file
        assert ssl.create_default_context(cafile=ca_file).cert_store_stats()["x509_ca"] == 1
        assert not is_refused(port)
        assert hub_threads() == 1
    assert is_refused(port)
    assert not ca_file.exists()
    assert hub_threads() == 0


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), ConnectionError("mine")], ids=repr)
def test_the_error_of_the_body_comes_out_as_it_is(error: BaseException) -> None:
    ports: list[int] = []

    def body() -> NoReturn:
        with BackgroundHub(LocalHub()) as hub:
            ports.append(hub.port)
            raise error

    with pytest.raises(type(error)) as caught:
        body()
    assert caught.value is error
    assert is_refused(ports[0])
    assert hub_threads() == 0


def test_a_taken_port_is_an_error_of_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        hub = BackgroundHub(LocalHub(host="127.0.0.1", amqp_port=port))
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            hub.__enter__()
    assert hub_threads() == 0
    with pytest.raises(ClosedError):
        _ = hub.port


def test_outside_its_with_it_says_what_to_do() -> None:
    hub = BackgroundHub(LocalHub())
    with pytest.raises(ClosedError, match="with BackgroundHub"):
        _ = hub.port
    with hub:
        pass
    with pytest.raises(ClosedError, match="with BackgroundHub"):
        hub.queue_depth("dev-1")


def signature(owner: type, name: str) -> inspect.Signature:
    found = vars(owner)[name]
    function = found.fget if isinstance(found, property) else found
    assert function is not None
    return inspect.signature(function)


@pytest.mark.parametrize(
    ("background", "original"), [(BackgroundHub, LocalHub), (BackgroundClock, HubClock)], ids=["hub", "clock"]
)
def test_what_has_the_same_name_has_the_same_signature(background: type, original: type) -> None:
    own = {"add_device", "call", "clock", "host"}
    for name in {name for name in vars(background) if not name.startswith("_")} - own:
        assert signature(background, name) == signature(original, name), name


def test_a_hub_that_listens_is_not_opened_again() -> None:
    with BackgroundHub(LocalHub()) as hub:
        with pytest.raises(InvalidInputError, match="listens already"):
            hub.__enter__()
        assert hub.device_connection_string("dev-1")


def test_a_full_disk_is_a_note_on_the_error_of_the_block(tmp_path: Path) -> None:
    def add_devices(hub: LocalHub) -> None:
        for number in range(300):
            hub.add_device(f"device-{number}")

    def use() -> None:
        with BackgroundHub(LocalHub(data_dir=tmp_path / "hub")) as hub:
            hub.call(fill_the_disk)
            hub.call(add_devices)
            hub.call(LocalHub.wait_failed)
            raise RuntimeError("of the block")

    with pytest.raises(RuntimeError, match="of the block") as raised:
        use()
    assert any("the hub cannot write to" in note for note in raised.value.__notes__)
