"""The addresses of an IoT hub that this hub knows and does not serve.

A bare 404 would look like a wrong address. The error is 400003 InvalidOperation (inferred: an IoT hub serves them).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from c2dkit._errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_served"]

UNSERVED: Final[Mapping[str, str]] = {
    r"twins/.+/methods": "direct methods",
    r"twins(/.*)?": "device twins",
    r"jobs(/.*)?": "jobs",
    r"configurations(/.*)?": "configurations",
    r"devices/[^/]+/applyconfigurationcontent": "configurations",
    r"digitaltwins(/.*)?": "digital twins",
    r"devices/[^/]+/modules(/.*)?": "modules",
    r"devices/query": "queries",
    r"devices/[^/]+/files(/.*)?": "file uploads",
}
"""What a path in lower case is an address of; the first that fits holds."""


def check_served(segments: tuple[str, ...]) -> None:
    """Refuse what this hub does not have, whatever the method; segments in lower case.

    Raises:
        ServiceError: It is a part of IoT Hub that this hub does not have (400003).
    """
    path = "/".join(segments)
    what = next((what for pattern, what in UNSERVED.items() if re.fullmatch(pattern, path)), None)
    if what is not None:
        raise ServiceError(
            f"the local hub has no {what}: it serves cloud-to-device messages, feedback and the registry of devices",
            hub_code=400003,
        )
