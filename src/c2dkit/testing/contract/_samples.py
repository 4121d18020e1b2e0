"""Messages that have tripped somebody up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BODIES", "CONTENT", "IDS", "PROPERTIES"]

BODIES: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "text": "Grüße 👋".encode(),
    "every-byte": bytes(range(256)),
}

IDS: Final[Mapping[str, str]] = {
    "longest": "i" * 128,
    "space": "My Message ID",
    "separators": "a=b&c/d#e+f?g;h,i",
    "escapes": "%20%%2F+$.mid",
    "documented": "-:.+%_#*?!(),=@;$'",
    "quotes": "\"'<>\\^`{|}~[]",
}

CONTENT: Final[Mapping[str, tuple[str | None, str | None]]] = {
    "json": ("application/json", "utf-8"),
    "parameters": ("text/plain; charset=utf-8", "gzip"),
    "unknown": ("application/x-thing+v=1", "x-raw"),
    "type-only": ("application/octet-stream", None),
    "encoding-only": (None, "utf-8"),
}

PROPERTIES: Final[Mapping[str, Mapping[str, str]]] = {
    "plain": {"name": "value", "Name": "another"},
    "empty": {"empty": ""},
    "ampersand": {"a&b": "c&d"},
    "equals": {"a=b": "c=d=", "=": "="},
    "slash": {"a/b": "/c/d/"},
    "hash": {"a#b": "#c#"},
    "plus": {"a+b": "c+d"},
    "percent": {"a%b": "100%", "%20": "%2F%"},
    "space": {"a b": "c d"},
    "emoji": {"🔧": "👋🏽", "Größe": "übergroß"},
    "control-like": {"null": "null", "none": "None", "true": "true"},
    "system-like": {"to": "x", "message-id": "x", "content-type": "x", "ETag": "x", "subject": "x"},
    "long": {"n" * 300: "v" * 3000},
    "many": {f"name-{number}": f"{number}" for number in range(100)},
}
