"""The key that everybody knows, and where it holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from c2dkit import CloudSender, InvalidInputError
from c2dkit.hub import LocalHub
from c2dkit.hub._keys import DEVELOPMENT_KEY
from c2dkit.testing.contract._bench import ONCE

from .registry_client import registry

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"primaryKey": DEVELOPMENT_KEY, "secondaryKey": DEVELOPMENT_KEY}
OPEN = "0.0.0.0"


async def test_all_that_has_no_key_of_its_own_has_the_development_key() -> None:
    own = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    async with LocalHub(development_key=True) as hub, registry(hub) as client:
        hub.add_device("own", primary_key=own)
        created = await client.done("PUT", "/devices/d1", {"deviceId": "d1"})
        assert created["authentication"]["symmetricKey"] == KEYS
        for text in (hub.owner_connection_string, hub.device_connection_string("dev-1")):
            assert text.endswith(f"SharedAccessKey={DEVELOPMENT_KEY}")
        assert hub.device_connection_string("own").endswith(f"SharedAccessKey={own}")
        committed = f"HostName=localhost:{hub.port};SharedAccessKeyName=service;SharedAccessKey={DEVELOPMENT_KEY}"
        async with CloudSender.from_connection_string(committed, ssl_context=hub.ssl_context(), retry=ONCE) as sender:
            await sender.send("dev-1", "x")
        hub.rotate_device_key("dev-1", "primary")
        assert DEVELOPMENT_KEY not in hub.device_connection_string("dev-1")


async def test_keys_are_random_by_default() -> None:
    async with LocalHub() as hub:
        assert DEVELOPMENT_KEY not in hub.owner_connection_string + hub.device_connection_string("dev-1")


@pytest.mark.parametrize("host", [OPEN, "::", "192.0.2.1", "hub.localtest"])
def test_it_is_for_loopback_alone(host: str) -> None:
    with pytest.raises(InvalidInputError, match="loopback"):
        LocalHub(host=host, development_key=True)


async def test_an_open_hub_takes_it_from_nobody(tmp_path: Path) -> None:
    hub = LocalHub(host=OPEN)
    with pytest.raises(InvalidInputError, match="loopback"):
        hub.add_device("d1", secondary_key=DEVELOPMENT_KEY)
    async with hub, registry(hub) as client:
        document = {"authentication": {"type": "sas", "symmetricKey": KEYS}}
        for path, if_match in (("/devices/d1", None), ("/devices/dev-1", "*")):
            answer = await client.ask("PUT", path, document, if_match=if_match)
            assert (answer.status, answer.error) == (400, "ArgumentInvalid")
            assert "loopback" in answer.text
        answer = await client.ask("POST", "/devices", [{"id": "d1", **document}])
        assert "loopback" in answer.json["errors"][0]["errorStatus"]
        assert len(await client.done("GET", "/devices")) == 1
    file = tmp_path / "registry.json"
    file.write_text(json.dumps([{"deviceId": "d1", **document}]))
    with pytest.raises(InvalidInputError, match="loopback"):
        LocalHub(host=OPEN, registry_file=file)


@pytest.mark.parametrize("owner", ["device", "policy"])
async def test_an_open_hub_does_not_listen_with_it_however_it_came_in(owner: str) -> None:
    hub = LocalHub(host=OPEN)
    if owner == "device":
        hub._state.device("dev-1").secondary_key = DEVELOPMENT_KEY
    else:
        hub._policies._policies["service"] = replace(hub._policies.policy("service"), primary_key=DEVELOPMENT_KEY)
    with pytest.raises(InvalidInputError, match=r"(dev-1|service): .*loopback"):
        async with hub:
            pytest.fail("it listens")
    assert hub.connection_count == 0
