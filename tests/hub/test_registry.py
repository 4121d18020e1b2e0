"""The registry's REST calls, through a real socket; what they do to connections stands in test_registry_effects.py."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from c2dkit import DeviceReceiver
from c2dkit._models import Message
from c2dkit.hub import HubOptions, LocalHub, Right
from c2dkit.hub import _http as door
from c2dkit.testing.contract._bench import ONCE

from .registry_client import registry

if TYPE_CHECKING:
    from pathlib import Path

KEY = b64encode(b"\x01" * 32).decode()
OTHER_KEY = b64encode(b"\x02" * 32).decode()
SHA1 = "0123456789ABCDEF0123456789ABCDEF01234567"
SHA256 = "AB" * 32
EVERY_ADDRESS = [
    ("GET", "/devices"),
    ("GET", "/devices/dev-1"),
    ("GET", "/statistics/devices"),
    ("GET", "/statistics/service"),
    ("PUT", "/devices/dev-9"),
    ("POST", "/devices"),
    ("DELETE", "/devices/dev-1"),
    ("DELETE", "/devices/dev-1/commands"),
]


def sas(primary: str | None = None, secondary: str | None = None) -> dict[str, Any]:
    return {"type": "sas", "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary}}


def self_signed(primary: str | None = None, secondary: str | None = None) -> dict[str, Any]:
    return {
        "type": "selfSigned",
        "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary},
    }


async def test_a_device_is_created_with_all_that_iot_hub_tells_of_one() -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        wanted = {
            "deviceId": "d1",
            "status": "disabled",
            "statusReason": "on order",
            "authentication": sas(KEY, OTHER_KEY),
            "capabilities": {"iotEdge": True},
            "deviceScope": "scope",
            "parentScopes": ["parent"],
        }
        before = datetime.now(UTC)
        created = await client.done("PUT", "/devices/d1", wanted)
        assert created == await client.done("GET", "/devices/d1")
        assert re.fullmatch(r"[0-9]{18}", created.pop("generationId"))
        assert b64decode(created.pop("etag"), validate=True).isdigit()
        assert before <= datetime.fromisoformat(created.pop("statusUpdatedTime")) <= datetime.now(UTC)
        assert created == wanted | {
            "authentication": sas(KEY, OTHER_KEY)
            | {"x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None}},
            "cloudToDeviceMessageCount": 0,
            "connectionState": "Disconnected",
            "connectionStateUpdatedTime": "0001-01-01T00:00:00",
            "lastActivityTime": "0001-01-01T00:00:00",
        }


@pytest.mark.parametrize("document", [{}, {"authentication": sas("", "")}, {"deviceId": "d1", "authentication": None}])
async def test_a_device_without_keys_gets_some_and_can_sign_in(document: dict[str, Any]) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        created = await client.done("PUT", "/devices/d1", document)
        keys = created["authentication"]["symmetricKey"]
        assert keys["primaryKey"] != keys["secondaryKey"]
        assert created["status"] == "enabled"
        assert created["statusUpdatedTime"] == "0001-01-01T00:00:00"
        text = f"HostName=localhost:{hub.port};DeviceId=d1;SharedAccessKey={keys['secondaryKey']}"
        async with DeviceReceiver.from_connection_string(text, ssl_context=hub.ssl_context(), retry=ONCE) as receiver:
            hub._state.send(Message(b"m1", to="/devices/d1/messages/devicebound"))
            assert (await anext(receiver)).body == b"m1"
            assert (await client.done("GET", "/devices/d1"))["connectionState"] == "Connected"


async def test_a_device_is_created_once() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        answer = await client.ask("PUT", "/devices/dev-1", {"deviceId": "dev-1"})
        assert (answer.status, answer.error) == (409, "DeviceAlreadyExists")
        assert "dev-1" in answer.text


@pytest.mark.parametrize("if_match", ["*", '"*"'])
async def test_an_update_needs_no_etag_with_the_star_and_keeps_keys(if_match: str) -> None:
    async with LocalHub() as hub, registry(hub) as client:
        before = await client.done("GET", "/devices/dev-1")
        update = {"deviceId": "dev-1", "status": "disabled", "authentication": sas("", "")}
        after = await client.done("PUT", "/devices/dev-1", update, if_match=if_match)
        assert after["status"] == "disabled"
        assert after["authentication"] == before["authentication"]
        assert after["generationId"] == before["generationId"]
        assert after["etag"] != before["etag"]
        assert after == await client.done("GET", "/devices/dev-1")


async def test_what_was_read_may_be_changed_and_written_back() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        document = await client.done("GET", "/devices/dev-1")
        document["statusReason"] = "why not"
        written = await client.done("PUT", "/devices/dev-1", document, if_match=f'"{document["etag"]}"')
        assert written == document | {"etag": written["etag"]}


async def test_an_old_etag_changes_nothing() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        old = await client.done("GET", "/devices/dev-1")
        new = await client.done("PUT", "/devices/dev-1", {"statusReason": "new"}, if_match=f'"{old["etag"]}"')
        for method, document in (("PUT", {"statusReason": "old"}), ("DELETE", None)):
            for if_match in (f'"{old["etag"]}"', old["etag"], '""'):
                answer = await client.ask(method, "/devices/dev-1", document, if_match=if_match)
                assert (answer.status, answer.error) == (412, "PreconditionFailed")
                assert new["etag"] in answer.text
        assert await client.done("GET", "/devices/dev-1") == new
        await client.done("DELETE", "/devices/dev-1", if_match=new["etag"])
        assert (await client.ask("GET", "/devices/dev-1")).error == "DeviceNotFound"


async def test_deleting_needs_an_if_match() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        answer = await client.ask("DELETE", "/devices/dev-1")
        assert (answer.status, answer.error) == (412, "PreconditionFailed")
        assert "If-Match" in answer.text
        assert len(await client.done("GET", "/devices")) == 1


async def test_an_unknown_device_is_not_found() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        for method, document in (("GET", None), ("PUT", dict[str, str]()), ("DELETE", None)):
            answer = await client.ask(method, "/devices/dev-9", document, if_match="*")
            assert (answer.status, answer.error) == (404, "DeviceNotFound")


async def test_a_device_that_comes_again_is_another_one() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        first = await client.done("GET", "/devices/dev-1")
        hub._state.send(Message(b"m1", to="/devices/dev-1/messages/devicebound"))
        assert (await client.done("GET", "/devices/dev-1"))["cloudToDeviceMessageCount"] == 1
        await client.done("DELETE", "/devices/dev-1", if_match="*")
        second = await client.done("PUT", "/devices/dev-1", {})
        assert second["generationId"] > first["generationId"]
        assert second["cloudToDeviceMessageCount"] == 0
        assert second["authentication"] != first["authentication"]


@pytest.mark.parametrize(
    ("authentication", "told"),
    [
        (self_signed(SHA1), (SHA1, None)),
        (self_signed(SHA1.lower(), SHA256), (SHA1, SHA256)),
        ({"type": "certificateAuthority"}, (None, None)),
    ],
)
async def test_a_device_signs_in_with_a_certificate(
    authentication: dict[str, Any], told: tuple[str | None, str | None]
) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        created = (await client.done("PUT", "/devices/d1", {"authentication": authentication}))["authentication"]
        assert created["type"] == authentication["type"]
        assert tuple(created["x509Thumbprint"].values()) == told
        assert set(created["symmetricKey"].values()) == {None}


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"deviceId": "d2"}, "deviceId"),
        ({"deviceId": 1}, "deviceId"),
        ({"status": "off"}, "status"),
        ({"statusReason": "x" * 129}, "128"),
        ({"authentication": sas("no base64")}, "base64"),
        ({"authentication": sas(b64encode(b"short").decode())}, "16 to 64"),
        ({"authentication": {"type": "none"}}, "none"),
        ({"authentication": {"type": "tpm"}}, "authentication.type"),
        ({"authentication": self_signed()}, "thumbprint"),
        ({"authentication": self_signed("12")}, "40 hex digits"),
        ({"authentication": "sas"}, "authentication"),
        ({"capabilities": {"iotEdge": []}}, "capabilities.iotEdge"),
        ({"parentScopes": ["a"] * 17}, "parentScopes"),
        ({"deviceScope": "a" * 257}, "deviceScope"),
        ([], "document"),
        ("d1", "document"),
    ],
)
async def test_a_document_that_says_nonsense_is_refused_with_the_key_at_fault(document: object, part: str) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        answer = await client.ask("PUT", "/devices/d1", document)
        assert (answer.status, answer.error) == (400, "ArgumentInvalid")
        assert part in answer.text
        assert "no base64" not in answer.text
        assert await client.done("GET", "/devices") == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"deviceId": "d1"} x'])
async def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        for method, path in (("PUT", "/devices/d1"), ("POST", "/devices")):
            answer = await client.ask(method, path, body=body)
            assert (answer.status, answer.error) == (400, "ArgumentInvalid")
            assert "JSON" in answer.text


async def test_a_body_is_bounded_and_kept_only_for_who_may_write() -> None:
    async with LocalHub(devices=[]) as hub:
        async with registry(hub) as client:
            body = b'{"statusReason": "", "x": "' + b"x" * (door.MAX_BODY_BYTES - 29) + b'"}'
            assert len(body) == door.MAX_BODY_BYTES
            assert (await client.ask("PUT", "/devices/d1", body=body)).status == 200
            assert (await client.ask("PUT", "/devices/d2", body=body + b" ")).error == "MessageTooLarge"
        async with registry(hub, "registryRead") as client:
            body = bytes(door.MAX_USELESS_BODY_BYTES)
            assert (await client.ask("PUT", "/devices/d3", body=body)).error == "IotHubUnauthorized"
            assert (await client.ask("PUT", "/devices/d3", body=body + b" ")).error == "MessageTooLarge"


@pytest.mark.parametrize("device_id", ["a%20#?b", "A-:.+%_#*?!(),=@;$'z", "x" * 128])
async def test_a_device_id_is_escaped_in_the_address(device_id: str) -> None:
    path = "/devices/" + "".join(f"%{ord(character):02X}" for character in device_id)
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        await client.done("PUT", path, {"deviceId": device_id})
        assert (await client.done("GET", path))["deviceId"] == device_id
        await client.done("DELETE", path, if_match="*")


@pytest.mark.parametrize("device_id", ["a%20b", "%C3%B6", "x" * 129])
async def test_what_is_no_device_id_is_refused(device_id: str) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        answer = await client.ask("PUT", f"/devices/{device_id}", {})
        assert (answer.status, answer.error) == (400, "ArgumentInvalid")
        assert "device_id" in answer.text


@pytest.mark.parametrize(("top", "count"), [("1", 1), ("3", 3), ("1000", 4), ("0", 4), ("-1", 4), ("1001", 4)])
async def test_the_first_devices_are_listed(top: str, count: int) -> None:
    async with LocalHub(devices=["d3", "d1", "d4", "d2"]) as hub, registry(hub) as client:
        documents = await client.done("GET", f"/devices?top={top}")
        assert [document["deviceId"] for document in documents] == ["d3", "d1", "d4", "d2"][:count]


async def test_top_is_a_number() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        assert (await client.ask("GET", "/devices?top=many")).error == "ArgumentInvalid"


async def test_devices_are_counted() -> None:
    async with LocalHub(devices=["d1", "d2", "d3"]) as hub, registry(hub, "iothubowner") as client:
        hub.disable_device("d2")
        counts = await client.done("GET", "/statistics/devices")
        assert counts == {"totalDeviceCount": 3, "enabledDeviceCount": 2, "disabledDeviceCount": 1}
        assert await client.done("GET", "/statistics/service") == {"connectedDeviceCount": 0}
        text = hub.device_connection_string("d1")
        async with DeviceReceiver.from_connection_string(
            text, transport="mqtt", ssl_context=hub.ssl_context(), retry=ONCE
        ):
            assert await client.done("GET", "/statistics/service") == {"connectedDeviceCount": 1}


async def test_a_hub_has_so_many_devices_and_no_more() -> None:
    async with LocalHub(options=HubOptions(max_devices=2)) as hub, registry(hub) as client:
        await client.done("PUT", "/devices/d2", {})
        answer = await client.ask("PUT", "/devices/d3", {})
        assert (answer.status, answer.error) == (413, "TooManyDevices")
        await client.done("DELETE", "/devices/d2", if_match="*")
        await client.done("PUT", "/devices/d3", {})


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        ([], set[str]()),
        ([Right.REGISTRY_READ], {"GET /devices", "GET /devices/dev-1", "GET /statistics/devices"}),
        ([Right.REGISTRY_WRITE], {"PUT /devices/dev-9", "POST /devices", "DELETE /devices/dev-1"}),
        ([Right.SERVICE_CONNECT], {"GET /statistics/service", "DELETE /devices/dev-1/commands"}),
        ([Right.DEVICE_CONNECT], set[str]()),
    ],
)
async def test_each_address_needs_its_right(rights: list[Right], allowed: set[str]) -> None:
    async with LocalHub() as hub:
        hub.add_policy("mine", rights)
        async with registry(hub, "mine") as client:
            for method, path in EVERY_ADDRESS:
                answer = await client.ask(method, path, [] if method == "POST" else {}, if_match=None)
                refused = answer.error == "IotHubUnauthorized"
                assert refused is (f"{method} {path}" not in allowed), (method, path, answer)


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/twins/dev-1", "device twins"),
        ("PATCH", "/twins/dev-1/modules/m", "device twins"),
        ("POST", "/twins/dev-1/methods", "direct methods"),
        ("POST", "/twins/dev-1/modules/m/methods", "direct methods"),
        ("POST", "/devices/query", "queries"),
        ("GET", "/devices/dev-1/modules", "modules"),
        ("PUT", "/devices/dev-1/modules/m", "modules"),
        ("POST", "/jobs/create", "jobs"),
        ("PUT", "/jobs/v2/j1", "jobs"),
        ("GET", "/configurations", "configurations"),
        ("POST", "/devices/dev-1/applyConfigurationContent", "configurations"),
        ("GET", "/digitaltwins/dev-1", "digital twins"),
        ("POST", "/devices/dev-1/files", "file uploads"),
    ],
)
async def test_what_this_hub_does_not_have_is_refused_in_words(method: str, path: str, what: str) -> None:
    async with LocalHub() as hub, registry(hub, "iothubowner") as client:
        answer = await client.ask(method, path)
        assert (answer.status, answer.error) == (400, "InvalidOperation")
        assert f"no {what}" in answer.text


async def test_a_queue_is_purged_while_a_message_is_locked() -> None:
    async with LocalHub() as hub, registry(hub, "iothubowner") as client:
        text = hub.device_connection_string("dev-1")
        async with DeviceReceiver.from_connection_string(text, ssl_context=hub.ssl_context(), retry=ONCE) as receiver:
            for body in (b"m1", b"m2"):
                hub._state.send(Message(body, to="/devices/dev-1/messages/devicebound"))
            await anext(receiver)
            assert (await client.done("DELETE", "/devices/dev-1/commands"))["totalMessagesPurged"] == 2
        assert (await client.done("GET", "/devices/dev-1"))["cloudToDeviceMessageCount"] == 0


async def test_times_are_those_of_the_hubs_clock() -> None:
    async with LocalHub() as hub, registry(hub) as client:
        hub.clock.advance(timedelta(minutes=30))
        hub.disable_device("dev-1")
        told = datetime.fromisoformat((await client.done("GET", "/devices/dev-1"))["statusUpdatedTime"])
        assert told > datetime.now(UTC) + timedelta(minutes=29)


@pytest.mark.parametrize("transport", ["amqp", "mqtt"])
async def test_it_tells_when_a_device_came_did_something_and_went(transport: str) -> None:
    async with LocalHub() as hub, registry(hub) as client:

        async def told() -> tuple[str, datetime, datetime]:
            document = await client.done("GET", "/devices/dev-1")
            changed, active = document["connectionStateUpdatedTime"], document["lastActivityTime"]
            return document["connectionState"], datetime.fromisoformat(changed), datetime.fromisoformat(active)

        text = hub.device_connection_string("dev-1")
        async with DeviceReceiver.from_connection_string(
            text,
            transport=transport,
            ssl_context=hub.ssl_context(),
            retry=ONCE,
        ) as receiver:
            state, came, active = await told()
            assert (state, active) == ("Connected", came)
            hub.clock.advance(timedelta(seconds=20))
            hub._state.send(Message(b"m", to="/devices/dev-1/messages/devicebound"))
            await anext(receiver)
            _, still, later = await told()
            assert still == came
            assert later - came >= timedelta(seconds=20)
            hub.clock.advance(timedelta(seconds=20))
            await hub.disconnect_all()
        state, went, last = await told()
        assert (state, last) == ("Disconnected", later)
        assert went - last >= timedelta(seconds=20)
        hub.remove_device("dev-1")
        hub.add_device("dev-1")
        document = await client.done("GET", "/devices/dev-1")
        assert document["connectionStateUpdatedTime"] == document["lastActivityTime"] == "0001-01-01T00:00:00"


async def test_a_hub_begins_with_the_devices_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "registry.json"
    devices = [{"deviceId": "d1", "authentication": sas(KEY)}]
    file.write_text(json.dumps({"devices": devices, "policies": [{"keyName": "service", "primaryKey": OTHER_KEY}]}))
    async with LocalHub(registry_file=file) as hub:
        assert hub.device_ids == ("d1",)
        assert hub.device_connection_string("d1").endswith(f"SharedAccessKey={KEY}")
        assert hub.service_connection_string.endswith(f"SharedAccessKey={OTHER_KEY}")
    assert LocalHub(registry_file=file, devices=["d2"]).device_ids == ("d1", "d2")
