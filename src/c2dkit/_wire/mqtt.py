"""How MQTT spells a cloud-to-device message: topic, property bag, subscription, user name, refusals.

Source: "Communicate with an IoT hub using the MQTT protocol", sections "Using the MQTT protocol directly" and
"Receiving cloud-to-device messages". The system keys are those of ``properties.SYSTEM_PROPERTIES``.

The bag is the last level of the topic: ``key=value`` pairs joined by ``&``, keys and values percent-encoded, ``$``
included, because the C device client knows system keys only as ``%24.mid`` and so on.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from c2dkit._errors import C2dError, ConnectError, InvalidInputError, PeerProtocolError, UnauthorizedError
from c2dkit._models import NO_PROPERTIES, Ack, Message
from c2dkit._rules.limits import PROPERTIES
from c2dkit._rules.properties import SYSTEM_PROPERTIES, SYSTEM_PROPERTY_PREFIX
from c2dkit._wire.times import format_time, read_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "connack_error",
    "decode_event_properties",
    "decode_publish",
    "encode_topic",
    "parse_username",
    "subscription",
    "username",
]

API_VERSION: Final = "2021-04-12"
MAX_TOPIC_BYTES: Final = 65_535
"""MQTT 3.1.1, 1.5.3: a UTF-8 string has at most 65,535 bytes."""

MAX_USERNAME_LENGTH: Final = 4096


def _percent_encode(text: str) -> str:
    return quote(text, safe="")


def _percent_decode(text: str) -> str:
    # Slashes first and all at once: every message has them in `$.to`, and `unquote` costs ten times as much.
    text = text.replace("%2F", "/")
    return unquote(text) if "%" in text else text


_ROWS: Final = tuple((_percent_encode(row.mqtt), row) for row in SYSTEM_PROPERTIES if row.mqtt is not None)
# With and without the percent-encoded `$`, so that the usual spelling needs no decoding.
_FIELD_BY_KEY: Final[Mapping[str, str]] = {
    key: row.field for encoded, row in _ROWS for key in (encoded, unquote(encoded))
}
_ACKS: Final[Mapping[str | None, Ack]] = {ack.value: ack for ack in Ack}


def encode_topic(device_id: str, message: Message) -> str:
    """Write the topic of the PUBLISH that carries a message to a device.

    The bag is never empty: ``$.to`` was in every captured topic, and .NET's device client needs the bag to exist.

    Raises:
        ValueError: The properties do not fit into an MQTT topic, because percent-encoding made them too long.
    """
    pairs = [f"{key}={_percent_encode(text)}" for key, text in _system_properties(device_id, message)]
    for name, value in message.properties.items():
        pairs.append(_percent_encode(name) if value is None else f"{_percent_encode(name)}={_percent_encode(value)}")
    # The device id is not encoded, other than in the bag.
    topic = f"devices/{device_id}/messages/devicebound/{'&'.join(pairs)}"
    if len(topic) > MAX_TOPIC_BYTES:
        raise ValueError(f"the topic would have {len(topic)} bytes, more than the {MAX_TOPIC_BYTES} that MQTT carries")
    return topic


def decode_publish(topic: str, payload: bytes) -> Message:
    """Read a message from the topic and the payload of a PUBLISH.

    Lenient, because a device has no way to reject over MQTT, so what it cannot read would come for ever: a broken
    percent escape stays as it stands, bytes that are not UTF-8 become U+FFFD, a time or an ack that cannot be read is
    left out, and so are system properties that C2D does not use.

    Raises:
        ValueError: The topic is not that of a cloud-to-device message, or has more than 1024 properties.
    """
    levels = topic.split("/", 4)
    if len(levels) != 5 or levels[0] != "devices" or levels[2] != "messages" or levels[3].lower() != "devicebound":
        raise ValueError("the topic is not that of a cloud-to-device message")
    system, properties = _split_bag(levels[4])
    get = system.get
    return Message(
        payload,
        message_id=get("message_id"),
        correlation_id=get("correlation_id"),
        user_id=get("user_id"),
        to=get("to"),
        content_type=get("content_type"),
        content_encoding=get("content_encoding"),
        expires_at=read_time(get("expires_at")),
        created_at=read_time(get("created_at")),
        ack=_ACKS.get(get("ack")),
        properties=properties or NO_PROPERTIES,
    )


def decode_event_properties(topic: str, device_id: str) -> dict[str, str | None]:
    """Read the application properties of a device's telemetry from its topic, ``devices/{id}/messages/events/{bag}``.

    Raises:
        ValueError: The topic is another one, or has more than 1024 properties.
    """
    levels = topic.split("/", 4)
    if levels[:4] != ["devices", device_id, "messages", "events"]:
        raise ValueError("the topic is not that of the device's telemetry")
    return _split_bag(levels[4])[1] if len(levels) == 5 else {}


def subscription(device_id: str) -> str:
    """Return the topic filter that a device receives its messages by.

    Raises:
        InvalidInputError: The id has a character that is a wildcard in a filter (MQTT 3.1.1, 4.7.1).
    """
    if "+" in device_id or "#" in device_id:
        raise InvalidInputError("a device whose id contains + or # cannot subscribe over MQTT; use another transport")
    return f"devices/{device_id}/messages/devicebound/#"


def username(host_name: str, device_id: str) -> str:
    """Return the user name of a CONNECT; ``host_name`` is the hub's, without a port, also behind a gateway."""
    return f"{host_name}/{device_id}/?api-version={API_VERSION}&DeviceClientType=c2dkit"


def parse_username(text: str) -> tuple[str, str]:
    """Return host name and device id from the user name of a CONNECT.

    What follows them may be anything of ``?api-version=...`` (any version), ``api-version=...`` (clients of 2016) and
    nothing.

    Raises:
        ValueError: It is not of that form, or is that of a module, which has no cloud-to-device messages.
    """
    host_name, _, rest = text.partition("/")
    device_id, _, query = rest.partition("/")
    if not host_name or not device_id or len(text) > MAX_USERNAME_LENGTH:
        raise ValueError("the user name is not of the form HostName/DeviceId/?api-version=...")
    if query and not query.startswith(("?", "api-version=")):
        raise ValueError("the user name is not that of a device")
    return host_name, device_id


def connack_error(code: int) -> C2dError:
    """Return the error for a CONNACK return code other than 0 (MQTT 3.1.1, 3.2.2.3)."""
    if code in (4, 5):
        # The hub says 5 whatever the cause.
        return UnauthorizedError(
            "the hub refused the connection: the credential is wrong or has expired, or the hub does not know the "
            f"device, or the device is disabled (CONNACK return code {code})"
        )
    if code == 3:
        return ConnectError("the hub is not available (CONNACK return code 3)")
    if code in (1, 2):
        reason = "MQTT 3.1.1" if code == 1 else "the client id"
        return ConnectError(f"the hub refuses {reason} (CONNACK return code {code})", transient=False)
    return PeerProtocolError(f"CONNACK return code {code} has no meaning in MQTT 3.1.1")


def _system_properties(device_id: str, message: Message) -> Iterator[tuple[str, str]]:
    for key, row in _ROWS:
        value: object = getattr(message, row.field)
        if value is None and row.field == "to":
            value = f"/devices/{_percent_encode(device_id)}/messages/devicebound"
        if isinstance(value, datetime):
            value = format_time(value)
        if value is not None:
            yield key, str(value)


def _split_bag(bag: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Split a bag into system properties, by field of ``Message``, and application properties."""
    if bag.count("&") >= PROPERTIES + len(_ROWS):
        raise ValueError(f"the topic has more than {PROPERTIES} properties")
    system: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    for pair in bag.split("&"):
        key, equals, encoded = pair.partition("=")
        # `+` stays `+`: this is RFC 3986, not a web form. `key` alone is null, `key=` is empty.
        value = _percent_decode(encoded) if equals else None
        field = _FIELD_BY_KEY.get(key) or _FIELD_BY_KEY.get(key := _percent_decode(key))
        if field is not None:
            system[field] = value
        elif key and not key.startswith(SYSTEM_PROPERTY_PREFIX):
            properties[key] = value
    return system, properties
