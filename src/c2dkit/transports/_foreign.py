"""What the adapters of other libraries share: a late import, and a table of exceptions."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from c2dkit._errors import C2dError, ServiceError, TransportUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

__all__ = ["NO_UAMQP", "UAMQP_ENDS", "ForeignError", "load", "row_of"]

UAMQP_ENDS: Final = (3, 14)
"""The first Python for which uamqp, which is archived, has no wheel; azure-iot-hub needs uamqp."""
NO_UAMQP: Final = "uamqp has no wheel for Python 3.14 and later: use Python 3.13 or older, or another transport"


class ForeignError(NamedTuple):
    """What c2dkit raises for a class of another library's exceptions, and whether trying again may help."""

    error: type[C2dError]
    transient: bool


UNKNOWN: Final = ForeignError(ServiceError, transient=False)


def load(module: str, *, transport: str, extra: str) -> ModuleType:
    """Import a module of another library.

    Args:
        module: The module's name.
        transport: Who needs it, to be named in the error.
        extra: The extra of c2dkit that installs it.

    Raises:
        TransportUnavailableError: It is not installed, or there is none for this Python.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TransportUnavailableError(
            f"the transport {transport!r} cannot be used here: {_reason(error, extra)}"
        ) from error


def _reason(error: ImportError, extra: str) -> str:
    if error.name == "uamqp" and sys.version_info >= UAMQP_ENDS:
        return NO_UAMQP
    return f"{error}. Install it with: pip install 'c2dkit[{extra}]'"


def row_of(error: BaseException, table: Mapping[str, ForeignError]) -> ForeignError:
    """Return what a table says of an exception: by the name of its class, or of the nearest base class in the table.

    By name, because the library may be missing, and because azure-iot-device has two classes of most names.
    """
    return next((table[base.__name__] for base in type(error).__mro__ if base.__name__ in table), UNKNOWN)
