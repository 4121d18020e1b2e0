"""Many operations on the registry in one request.

Sources: IoT Hub REST reference, "Bulk Registry - Update Registry"; "Import and export IoT Hub device identities in bulk",
which has more modes and says which one holds where none is given. That one failure leaves the others alone, and the
answer to an operation that this hub does not have, are inferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from c2dkit._errors import InvalidInputError, ServiceError
from c2dkit._wire.http_errors import name_of
from c2dkit.hub._registry_documents import BulkItem, etag_of, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from c2dkit.hub._state import HubState

__all__ = ["apply_bulk"]

MAX_ITEMS: Final = 100

CREATE_OR_UPDATE: Final = "createOrUpdate"
IF_MATCH: Final = "ifmatchetag"


def apply_bulk(state: HubState, body: object) -> Sequence[Mapping[str, object]]:
    """Do each operation and return what went wrong, in IoT Hub's words.

    Raises:
        InvalidInputError: It is no list of 1 to 100 operations, or a device is in it twice; nothing is done.
    """
    items = cast("list[object]", body) if isinstance(body, list) else []
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidInputError(f"the body must be a list of 1 to {MAX_ITEMS} devices")
    named = [name for item in items if (name := _device_id(item)) is not None]
    if len(set(named)) < len(named):
        raise InvalidInputError("a device can be in the list only once")
    errors = (_attempt(state, item) for item in items)
    return [error for error in errors if error is not None]


def _attempt(state: HubState, item: object) -> Mapping[str, object] | None:
    operation: str | None = None
    try:
        parsed = read(BulkItem, item)
        operation = parsed.import_mode or CREATE_OR_UPDATE
        _apply(state, parsed, operation)
    except (InvalidInputError, ServiceError) as error:
        return {
            "deviceId": _device_id(item),
            "errorCode": name_of(error),
            "errorStatus": str(error),
            "moduleId": None,
            "operation": operation,
        }
    return None


def _apply(state: HubState, item: BulkItem, operation: str) -> None:
    if item.module_id is not None:
        raise ServiceError("the local hub has no modules", hub_code=400003)
    if item.device_id is None:
        raise InvalidInputError("id: every operation names its device")
    mode = operation.lower()  # Node's SDK writes some with a capital
    match mode.removesuffix(IF_MATCH):
        case "create":
            state.add_device(item.device_id, item.settings())
        case "createorupdate" if item.device_id not in state.devices:
            state.add_device(item.device_id, item.settings())
        case "update" | "createorupdate":
            state.update_device(item.device_id, item.settings(), etag=_etag(item, mode))
        case "delete":
            state.remove_device(item.device_id, etag=_etag(item, mode))
        case _:
            raise ServiceError(f"the local hub does not do {operation[:40]!r}", hub_code=400003)


def _etag(item: BulkItem, mode: str) -> str | None:
    """Return the ETag that the device must have; None for any (that one which is not said fits none is inferred)."""
    if not mode.endswith(IF_MATCH):
        return None
    if item.etag is None:
        raise ServiceError('eTag: the operation needs the device\'s ETag, or "*" for any', hub_code=412001)
    return etag_of(item.etag)


def _device_id(item: object) -> str | None:
    if not isinstance(item, dict):
        return None
    fields = cast("dict[str, object]", item)
    device_id = fields.get("deviceId", fields.get("id"))
    return device_id if isinstance(device_id, str) else None
