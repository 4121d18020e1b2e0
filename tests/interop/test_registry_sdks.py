"""The registry as the official SDKs' own clients see it: azure-iot-hub of Python and azure-iothub of Node.js."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import certifi
import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.protocol.models import (
    AuthenticationMechanism,
    ExportImportDevice,
    QuerySpecification,
    SymmetricKey,
    Twin,
)
from msrest.exceptions import HttpOperationError

from c2dkit import CloudSender
from c2dkit.hub import LocalHub

from .conftest import node, node_environment, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Any

SECONDS = 60
KEY, OTHER_KEY = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SHA1, SHA256 = "AB" * 20, "CD" * 32
ORIGINAL_PEM = Path(certifi.where()).read_bytes()


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[LocalHub]:
    async with LocalHub(devices=[], host="127.0.0.78", amqp_port=5671, mqtt_port=8883, https_port=443) as hub:
        # The library trusts what certifi and requests name.
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(ORIGINAL_PEM + hub.ca_file.read_bytes())
        monkeypatch.setattr(certifi, "where", lambda: str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        yield hub


class Manager:
    """IoTHubRegistryManager, whose calls block, in a thread."""

    def __init__(self, hub: LocalHub) -> None:
        self._manager: Any = IoTHubRegistryManager.from_connection_string(hub.owner_connection_string)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: object) -> Any:
            with anyio.fail_after(SECONDS):
                return await anyio.to_thread.run_sync(getattr(self._manager, name), *args)

        return call


async def status_of(refused: Awaitable[object]) -> int:
    with pytest.raises(HttpOperationError) as caught:
        await refused
    return int(caught.value.response.status_code)


async def test_python_creates_reads_updates_and_deletes_a_device_with_keys(hub: LocalHub) -> None:
    manager = Manager(hub)
    created = await manager.create_device_with_sas("d1", KEY, OTHER_KEY, "enabled", True, "new", "scope", "parent")
    assert (created.device_id, created.status, created.status_reason) == ("d1", "enabled", "new")
    assert (created.authentication.symmetric_key.primary_key, created.capabilities.iot_edge) == (KEY, True)
    assert (created.device_scope, created.parent_scopes) == ("scope", ["parent"])
    assert created.connection_state == "Disconnected"
    assert created.last_activity_time.year == created.status_updated_time.year == 1
    assert await status_of(manager.create_device_with_sas("d1", KEY, KEY, "enabled")) == 409

    read = await manager.get_device("d1")
    assert (read.etag, read.generation_id) == (created.etag, created.generation_id)
    updated = await manager.update_device_with_sas("d1", read.etag, OTHER_KEY, KEY, "disabled")
    assert (updated.status, updated.authentication.symmetric_key.primary_key) == ("disabled", OTHER_KEY)
    assert updated.status_updated_time.year > 2000
    assert await status_of(manager.update_device_with_sas("d1", read.etag, KEY, KEY, "enabled")) == 412
    assert (await manager.update_device_with_sas("d1", None, KEY, KEY, "enabled")).status == "enabled"

    assert await status_of(manager.delete_device("d1", read.etag)) == 412
    await manager.delete_device("d1")
    assert await status_of(manager.get_device("d1")) == 404


async def test_python_makes_devices_that_sign_in_with_certificates(hub: LocalHub) -> None:
    manager = Manager(hub)
    x509 = await manager.create_device_with_x509("d1", SHA1, SHA256, "enabled")
    assert x509.authentication.type == "selfSigned"
    assert x509.authentication.x509_thumbprint.secondary_thumbprint == SHA256
    x509 = await manager.update_device_with_x509("d1", x509.etag, SHA256, SHA1, "enabled")
    assert x509.authentication.x509_thumbprint.primary_thumbprint == SHA256
    signed = await manager.create_device_with_certificate_authority("d2", "enabled")
    assert signed.authentication.type == "certificateAuthority"
    signed = await manager.update_device_with_certificate_authority("d2", signed.etag, "disabled")
    assert signed.status == "disabled"


async def test_python_lists_and_counts(hub: LocalHub) -> None:
    manager = Manager(hub)
    for device_id in ("d1", "d2", "d3"):
        hub.add_device(device_id)
    hub.disable_device("d3")
    assert [device.device_id for device in await manager.get_devices()] == ["d1", "d2", "d3"]
    assert [device.device_id for device in await manager.get_devices(2)] == ["d1", "d2"]
    counts = await manager.get_device_registry_statistics()
    assert (counts.total_device_count, counts.enabled_device_count, counts.disabled_device_count) == (3, 2, 1)
    assert (await manager.get_service_statistics()).connected_device_count == 0


async def test_python_does_many_at_once(hub: LocalHub) -> None:
    manager = Manager(hub)

    def operation(device_id: str, mode: str, **more: object) -> ExportImportDevice:
        return ExportImportDevice(id=device_id, import_mode=mode, **more)

    keys = AuthenticationMechanism(type="sas", symmetric_key=SymmetricKey(primary_key=KEY, secondary_key=KEY))
    result = await manager.bulk_create_or_update_devices(
        [operation("d1", "create", authentication=keys), operation("d2", "create", status="disabled")]
    )
    assert (result.is_successful, result.errors) == (True, [])
    etag = (await manager.get_device("d1")).etag
    result = await manager.bulk_create_or_update_devices(
        [
            operation("d1", "updateIfMatchETag", e_tag=etag, status_reason="new"),
            operation("d2", "updateIfMatchETag", e_tag=etag),
            operation("d3", "create"),
            operation("d4", "delete"),
        ]
    )
    assert not result.is_successful
    assert [(error.device_id, error.error_code) for error in result.errors] == [
        ("d2", "PreconditionFailed"),
        ("d4", "DeviceNotFound"),
    ]
    d1 = await manager.get_device("d1")
    assert (d1.status_reason, d1.authentication.symmetric_key.primary_key) == ("new", KEY)
    result = await manager.bulk_create_or_update_devices(
        [operation(device_id, "delete") for device_id in ("d1", "d2", "d3")]
    )
    assert result.is_successful
    assert await manager.get_devices() == []


async def test_python_purges(hub: LocalHub) -> None:
    hub.add_device("d1")
    text = hub.service_connection_string
    async with CloudSender.from_connection_string(text, ssl_context=hub.ssl_context()) as sender:
        await sender.send("d1", "x")
    with anyio.fail_after(SECONDS):
        manager: Any = IoTHubRegistryManager.from_connection_string(hub.owner_connection_string)
        messages = manager.protocol.cloud_to_device_messages
        result = await anyio.to_thread.run_sync(messages.purge_cloud_to_device_message_queue, "d1")
    assert (result.device_id, result.total_messages_purged) == ("d1", 1)


async def test_python_is_told_in_words_what_this_hub_does_not_have(hub: LocalHub) -> None:
    hub.add_device("d1")
    manager = Manager(hub)
    for refused in (
        manager.get_twin("d1"),
        manager.update_twin("d1", Twin()),
        manager.get_modules("d1"),
        manager.query_iot_hub(QuerySpecification(query="SELECT * FROM devices")),
    ):
        with pytest.raises(HttpOperationError) as caught:
            await refused
        assert caught.value.response.status_code == 400
        assert "the local hub has no" in caught.value.response.text


async def test_node_has_its_registry(hub: LocalHub) -> None:
    environment = {
        **node_environment(),
        "CONNECTION_STRING": hub.owner_connection_string,
        "NODE_EXTRA_CA_CERTS": str(hub.ca_file),
    }
    async with running(node("sdk/registry.js"), environment) as program:
        told = json.loads((await program.line("result ")).removeprefix("result "))
    etag = told.pop("etag")
    assert told == {
        "created": ["d1", "enabled", "sas", 44],
        "again": "DeviceAlreadyExistsError",
        "x509": [SHA1, "selfSigned"],
        "read": [etag, "d1"],
        "updated": ["disabled", True],
        "listed": ["d1", "d2"],
        "added": [True, ["d1", "d2", "d3", "d4"]],
        "refused": "ArgumentError",
        "forced": True,
        "stale": "ArgumentError",
        "removed": [True, ["d1", "d2"]],
        "deleted": ["d2"],
        "missing": "DeviceNotFoundError",
        "devices": 1,
        "connected": 0,
        "twin": "ArgumentError",
    }
