"""Many operations on the registry in one request, through a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from c2dkit.hub import LocalHub

from .registry_client import RegistryClient, registry

DISABLED = {"status": "disabled"}


async def bulk(client: RegistryClient, *operations: object) -> dict[str, str]:
    """Return the errors by device id."""
    answer = await client.ask("POST", "/devices", list(operations))
    assert answer.json["isSuccessful"] is (answer.status == 200)
    assert answer.status == (400 if answer.json["errors"] else 200)
    assert answer.json["warnings"] == []
    assert all(error["errorStatus"] for error in answer.json["errors"])
    return {error["deviceId"]: error["errorCode"] for error in answer.json["errors"]}


async def statuses(client: RegistryClient) -> dict[str, str]:
    return {device["deviceId"]: device["status"] for device in await client.done("GET", "/devices")}


@pytest.mark.parametrize(
    ("mode", "known", "unknown"),
    [
        ("create", "DeviceAlreadyExists", None),
        ("Update", None, "DeviceNotFound"),
        ("UpdateIfMatchETag", "PreconditionFailed", "DeviceNotFound"),
        ("createOrUpdate", None, None),
        ("createOrUpdateIfMatchETag", "PreconditionFailed", None),
        ("Delete", None, "DeviceNotFound"),
        ("DeleteIfMatchETag", "PreconditionFailed", "DeviceNotFound"),
        ("updateTwin", "InvalidOperation", "InvalidOperation"),
        (None, None, None),
    ],
)
async def test_each_mode_does_what_it_says(mode: str | None, known: str | None, unknown: str | None) -> None:
    async with LocalHub(devices=["d1"]) as hub, registry(hub) as client:
        operation = DISABLED | {"eTag": "b2xk"} | ({} if mode is None else {"importMode": mode})
        errors = await bulk(client, {"id": "d1"} | operation, {"deviceId": "d2"} | operation)
        wanted = {"d1": known, "d2": unknown}
        assert errors == {device_id: error for device_id, error in wanted.items() if error}
        left = {"d1": "enabled"} if known else ({} if mode == "Delete" else {"d1": "disabled"})
        assert await statuses(client) == left | ({} if unknown else {"d2": "disabled"})


@pytest.mark.parametrize("key", ["eTag", "etag"])
@pytest.mark.parametrize("mode", ["updateIfMatchETag", "deleteIfMatchETag", "createOrUpdateIfMatchETag"])
async def test_the_right_etag_is_taken(mode: str, key: str) -> None:
    async with LocalHub(devices=["d1"]) as hub, registry(hub) as client:
        etag = (await client.done("GET", "/devices/d1"))["etag"]
        assert await bulk(client, {"id": "d1", "importMode": mode, key: etag}) == {}


@pytest.mark.parametrize("mode", ["updateIfMatchETag", "deleteIfMatchETag", "createOrUpdateIfMatchETag"])
async def test_an_etag_is_read_as_in_a_header_and_is_needed(mode: str) -> None:
    async with LocalHub(devices=["d1", "d2", "d3", "d4"]) as hub, registry(hub) as client:
        etag = (await client.done("GET", "/devices/d1"))["etag"]
        errors = await bulk(
            client,
            {"id": "d1", "importMode": mode, "eTag": f'"{etag}"'},
            {"id": "d2", "importMode": mode, "eTag": "*"},
            {"id": "d3", "importMode": mode},
            {"id": "d4", "importMode": mode, "eTag": None},
        )
        assert errors == {"d3": "PreconditionFailed", "d4": "PreconditionFailed"}


async def test_a_mode_that_is_null_is_one_that_is_not_given() -> None:
    async with LocalHub(devices=["d1"]) as hub, registry(hub) as client:
        assert await bulk(client, {"id": "d1", "importMode": None} | DISABLED, {"id": "d2", "importMode": None}) == {}
        assert await statuses(client) == {"d1": "disabled", "d2": "enabled"}


async def test_an_operation_that_fails_leaves_the_others_alone() -> None:
    async with LocalHub(devices=["d1"]) as hub, registry(hub) as client:
        errors = await bulk(
            client,
            {"id": "d1", "importMode": "create"},
            {"id": "d2", "importMode": "create"},
            {"id": "d 3", "importMode": "create"},
            {"id": "d4", "status": "off"},
            {"id": "d5", "authentication": {"type": "selfSigned"}},
            {"id": "d6", "moduleId": "m"},
        )
        assert errors == {
            "d1": "DeviceAlreadyExists",
            "d 3": "ArgumentInvalid",
            "d4": "ArgumentInvalid",
            "d5": "ArgumentInvalid",
            "d6": "InvalidOperation",
        }
        assert set(await statuses(client)) == {"d1", "d2"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        [{"id": f"d{number}"} for number in range(101)],
        [{"id": "d1"}, {"deviceId": "d1"}],
    ],
    ids=["empty", "no-list", "101", "twice"],
)
async def test_a_list_that_cannot_be_done_changes_nothing(body: Any) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        answer = await client.ask("POST", "/devices", body)
        assert (answer.status, answer.error) == (400, "ArgumentInvalid")
        assert "list" in answer.text
        assert await statuses(client) == {}


@pytest.mark.parametrize("item", [{}, {"id": None}, "d1", 1, None, [{"id": "d1"}]])
async def test_an_operation_without_a_device_is_told(item: object) -> None:
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        answer = await client.ask("POST", "/devices", [item, {"id": "d2"}])
        (error,) = answer.json["errors"]
        assert (error["deviceId"], error["errorCode"]) == (None, "ArgumentInvalid")
        assert set(await statuses(client)) == {"d2"}


async def test_a_hundred_devices_fit_into_a_request() -> None:
    scopes = {"deviceScope": "s" * 256, "parentScopes": ["p" * 256]}
    async with LocalHub(devices=[]) as hub, registry(hub) as client:
        wanted = [{"id": f"d{number}", "statusReason": "ö" * 128, **scopes} for number in range(100)]
        assert await bulk(client, *wanted) == {}
        assert len(await statuses(client)) == 100
