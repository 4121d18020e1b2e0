from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from c2dkit._errors import InvalidInputError
from c2dkit._models import Message
from c2dkit.hub._identities import Authentication, Right
from c2dkit.hub._keys import DEVELOPMENT_KEY, Keys
from c2dkit.hub._options import HubOptions
from c2dkit.hub._policies import Policies
from c2dkit.hub._registry_file import RegistryFile
from c2dkit.hub._state import HubState

ROOT = Path(__file__).parents[3]
KEY, OTHER_KEY = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SAS = {"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": OTHER_KEY}}


class Bench:
    def __init__(self, path: Path, *, keys: Keys = Keys()) -> None:  # noqa: B008 - frozen
        self.path = path
        self.keys = keys
        self.policies = Policies(keys)
        self.state = HubState(HubOptions(), lambda: datetime(2026, 3, 1, tzinfo=UTC), keys=keys)

    def take(self, text: str) -> None:
        self.path.write_text(text, "utf-8")
        RegistryFile.load(self.path, self.keys).apply(self.state, self.policies)

    def refusal(self, text: str) -> str:
        with pytest.raises(InvalidInputError) as caught:
            self.take(text)
        assert not self.state.devices
        told = str(caught.value)
        assert told.startswith(f"{self.path}: ")
        assert KEY not in told
        return told.removeprefix(f"{self.path}: ")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "registry.json")


DEVICES: list[dict[str, Any]] = [
    {"deviceId": "d1", "generationId": "1", "etag": "x", "authentication": SAS, "lastActivityTime": None},
    {"deviceId": "d2", "status": "disabled", "authentication": {"type": "certificateAuthority"}},
]
LINES = [{"id": device["deviceId"]} | device for device in DEVICES]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DEVICES),
        json.dumps(DEVICES, indent=2),
        "\n".join(map(json.dumps, LINES)),
        "\r\n\r\n".join(map(json.dumps, LINES)) + "\r\n",
        json.dumps({"devices": DEVICES}),
        json.dumps({"devices": DEVICES, "policies": None}),
        "\ufeff" + json.dumps(DEVICES),
        "\ufeff" + "\r\n".join(map(json.dumps, LINES)),
    ],
    ids=["array", "indented", "lines", "windows-lines", "object", "null", "marked", "marked-lines"],
)
def test_every_form_says_the_same(bench: Bench, text: str) -> None:
    bench.take(text)

    first, second = bench.state.devices.values()
    assert (first.device_id, first.primary_key, first.secondary_key) == ("d1", KEY, OTHER_KEY)
    assert (second.device_id, second.enabled) == ("d2", False)
    assert second.authentication is Authentication.CERTIFICATE_AUTHORITY
    assert first.generation_id != "1"


def test_the_example_of_the_docs_is_such_a_file(bench: Bench) -> None:
    page = (ROOT / "docs" / "registry.md").read_text("utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    bench.take(example)
    assert list(bench.state.devices) == ["dev-1", "dev-2", "dev-3"]
    assert bench.policies.policy("dashboard").rights == {Right.REGISTRY_READ, Right.SERVICE_CONNECT}


@pytest.mark.parametrize("text", ['{"id": "d1"}', '{"id": "d1"}\n'])
def test_one_line_is_one_device(bench: Bench, text: str) -> None:
    bench.take(text)
    assert list(bench.state.devices) == ["d1"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"devices": []}', '{"policies": []}'])
def test_a_file_without_devices(bench: Bench, text: str) -> None:
    if text == "{}":
        assert "deviceId" in bench.refusal(text) or "device_id" in bench.refusal(text)
    else:
        bench.take(text)
        assert not bench.state.devices


def test_policies_get_their_keys_and_rights(bench: Bench) -> None:
    before = bench.policies.policy("service")
    bench.take(
        json.dumps(
            {
                "policies": [
                    {"keyName": "service", "primaryKey": KEY},
                    {"keyName": "mine", "rights": "RegistryRead, ServiceConnect", "secondaryKey": KEY},
                ]
            }
        )
    )
    service, mine = bench.policies.policy("service"), bench.policies.policy("mine")
    assert (service.primary_key, service.secondary_key, service.rights) == (KEY, before.secondary_key, before.rights)
    assert mine.secondary_key == KEY
    assert mine.rights == {Right.REGISTRY_READ, Right.SERVICE_CONNECT}
    assert mine.primary_key != KEY


def test_a_device_that_is_there_is_changed_and_keeps_its_queue_and_what_is_left_out(bench: Bench) -> None:
    bench.take(json.dumps(DEVICES))
    bench.state.send(Message(b"m", to="/devices/d1/messages/devicebound"))
    bench.take('[{"deviceId": "d1", "statusReason": "again"}]')

    device = bench.state.device("d1")
    assert (device.primary_key, device.status_reason) == (KEY, "again")
    assert bench.state.queue_depth("d1") == 1
    assert set(bench.state.devices) == {"d1", "d2"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is not JSON"),
        ("d1", "it is not JSON"),
        ("[{]", "it is not JSON"),
        ('"d1"', "it must be a list of devices"),
        ('{"devices": {}}', "each device must be in a list"),
        ('{"policies": 1}', "each policy must be in a list"),
        ('{"id": "d1"}\n\n{"id": d2}', "line 3: it is not JSON"),
        ('{"id": "d1"}\n{"id": "d2", "status": 1}', "line 2: status:"),
        ('[{"deviceId": "d1"}, {}]', "device 2: device_id must be"),
        ('[{"deviceId": "d1"}, {"deviceId": "d 2"}]', "device 2: device_id must be"),
        ('[{"deviceId": "d1"}, {"id": "d1"}]', "device 2: deviceId: 'd1' is there already"),
        ('[{"deviceId": "d1", "authentication": {"type": "x"}}]', "device 1: authentication.type:"),
        ('[{"deviceId": "d1", "authentication": {"symmetricKey": {"primaryKey": "x"}}}]', "device 1: a shared access"),
        ('{"policies": [{"rights": ""}]}', "policy 1: keyName:"),
        ('{"policies": [{"keyName": "mine"}]}', "policy 1: rights:"),
        ('{"policies": [{"keyName": "mine", "rights": "All"}]}', "policy 1: rights:"),
        ('{"policies": [{"keyName": "a b", "rights": "RegistryRead"}]}', "policy 1: the name"),
        ('{"policies": [{"keyName": "service", "primaryKey": "x"}]}', "policy 1: a shared access"),
        (
            json.dumps({"policies": [{"keyName": f"p{number}", "rights": "RegistryRead"} for number in range(12)]}),
            "policy 12: a hub has at most 16",
        ),
    ],
)
def test_a_file_that_is_wrong_changes_nothing_and_is_told_by_place_and_key(bench: Bench, text: str, told: str) -> None:
    assert bench.refusal(text).startswith(told)
    assert len(bench.policies.by_name) == 5


def test_the_development_key_does_not_come_in_by_a_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "registry.json", keys=Keys(exposed=True))
    device = {"deviceId": "d1", "authentication": {"symmetricKey": {"secondaryKey": DEVELOPMENT_KEY}}}
    assert "loopback" in bench.refusal(json.dumps([device]))
    assert "loopback" in bench.refusal(json.dumps({"policies": [{"keyName": "device", "primaryKey": DEVELOPMENT_KEY}]}))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RegistryFile.load(tmp_path / "none.json", Keys())
