"""Devices and policies from a file, so that a whole team has the same keys.

The file is JSON: an array of devices as ``GET /devices`` answers it, or one device a line as IoT Hub's export writes them
(with ``id`` for ``deviceId``; inferred), or an object with ``devices`` and ``policies``, where a policy is as
``az iot hub policy list`` prints it (inferred).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from pydantic import Field
from pydantic_core import from_json

from c2dkit._errors import InvalidInputError
from c2dkit._rules.validation import check_device_id
from c2dkit.hub._identities import Policy, Right
from c2dkit.hub._policies import Policies
from c2dkit.hub._registry_documents import DeviceDocument, Document, read

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from c2dkit.hub._identities import DeviceSettings
    from c2dkit.hub._keys import Keys
    from c2dkit.hub._state import HubState

__all__ = ["RegistryFile"]


class PolicyDocument(Document):
    """A policy; what is left out of one that is there already stays as it is."""

    key_name: str
    rights: str | None = None
    primary_key: str | None = Field(default=None, repr=False)
    secondary_key: str | None = Field(default=None, repr=False)


class Place(NamedTuple):
    """A value of the file, and where it stands there."""

    name: str
    value: object


class RegistryFile(NamedTuple):
    """What a file says, all of it checked.

    Attributes:
        devices: What is set of each device, by id.
        policies: What is set of each policy.
    """

    devices: Mapping[str, DeviceSettings]
    policies: Sequence[PolicyDocument]

    @classmethod
    def load(cls, path: Path, keys: Keys) -> RegistryFile:
        """Read a file.

        Raises:
            OSError: It cannot be read.
            InvalidInputError: It is not as it should be; the text names the place and the key, and shows no secret.
        """
        with _told_of(str(path)):
            # .NET and PowerShell begin a file of UTF-8 with a mark, which JSON knows nothing of.
            devices, policies = _places(path.read_bytes().removeprefix(BOM_UTF8))
            return cls(_devices(devices, keys), _policies(policies, keys))

    def apply(self, state: HubState, policies: Policies) -> None:
        """Take over what it says; a device that is there already is changed and keeps its queue."""
        for document in self.policies:
            _put(policies, document)
        for device_id, settings in self.devices.items():
            if device_id in state.devices:
                state.update_device(device_id, settings)
            else:
                state.add_device(device_id, settings)


def _places(text: bytes) -> tuple[Sequence[Place], Sequence[Place]]:
    """Return the devices and the policies of a file."""
    try:
        whole: object = from_json(text, cache_strings=False)
    except ValueError as error:
        if b"\n" not in text.strip() or not text.lstrip().startswith(b"{"):
            raise InvalidInputError(f"it is not JSON: {error}") from None
        return _lines(text), ()
    if isinstance(whole, list):
        return _numbered("device", cast("list[object]", whole)), ()
    if not isinstance(whole, dict):
        raise InvalidInputError("it must be a list of devices, or an object with devices and policies")
    fields = cast("Mapping[str, object]", whole)
    if "devices" in fields or "policies" in fields:
        return _numbered("device", fields.get("devices")), _numbered("policy", fields.get("policies"))
    return [Place("line 1", fields)], ()


def _lines(text: bytes) -> Sequence[Place]:
    places: list[Place] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            if line.strip():
                places.append(Place(f"line {number}", from_json(line, cache_strings=False)))
        except ValueError as error:
            raise InvalidInputError(f"line {number}: it is not JSON: {error}") from None
    return places


def _numbered(what: str, values: object) -> Sequence[Place]:
    if values is None:
        return []
    if not isinstance(values, list):
        raise InvalidInputError(f"each {what} must be in a list")
    return [Place(f"{what} {number}", value) for number, value in enumerate(cast("list[object]", values), start=1)]


def _devices(places: Iterable[Place], keys: Keys) -> Mapping[str, DeviceSettings]:
    devices: dict[str, DeviceSettings] = {}
    for place in places:
        with _told_of(place.name):
            document = read(DeviceDocument, place.value)
            check_device_id(document.device_id)
            if document.device_id in devices:
                raise InvalidInputError(f"deviceId: {document.device_id!r} is there already")
            settings = document.settings()
            for key in filter(None, (settings.primary_key, settings.secondary_key)):
                keys.check(key)
            devices[str(document.device_id)] = settings
    return devices


def _policies(places: Iterable[Place], keys: Keys) -> Sequence[PolicyDocument]:
    trial, documents = Policies(keys), list[PolicyDocument]()
    for place in places:
        with _told_of(place.name):
            documents.append(read(PolicyDocument, place.value))
            _put(trial, documents[-1])
    return documents


def _put(policies: Policies, document: PolicyDocument) -> None:
    name, rights = document.key_name, _rights(document.rights)
    if name not in policies.by_name:
        if rights is None:
            raise InvalidInputError("rights: a policy that is not built in says which it has")
        policies.add(name, rights)
    before = policies.policy(name)
    policies.put(
        Policy(
            name=name,
            rights=before.rights if rights is None else rights,
            primary_key=document.primary_key or before.primary_key,
            secondary_key=document.secondary_key or before.secondary_key,
        )
    )


def _rights(text: str | None) -> frozenset[Right] | None:
    if text is None:
        return None
    try:
        return frozenset(Right(word.strip()) for word in text.split(","))
    except ValueError:
        raise InvalidInputError(f"rights: it must be some of {', '.join(Right)}") from None


@contextmanager
def _told_of(place: str) -> Generator[None]:
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error
