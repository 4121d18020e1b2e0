"""MQTT 3.1.1 without I/O, as client and as server: bytes and time in, events and bytes out."""

from __future__ import annotations

from c2dkit._protocols.mqtt._client import MqttClient
from c2dkit._protocols.mqtt._errors import MqttProtocolError, MqttSilenceError
from c2dkit._protocols.mqtt._events import (
    ClientEvent,
    ConnackReceived,
    ConnectReceived,
    DisconnectReceived,
    PubackReceived,
    PublishReceived,
    ServerEvent,
    SubackReceived,
    SubscribeReceived,
    UnsubackReceived,
    UnsubscribeReceived,
    Will,
)
from c2dkit._protocols.mqtt._server import MqttServer
from c2dkit._protocols.mqtt._topics import matches

__all__ = [
    "ClientEvent",
    "ConnackReceived",
    "ConnectReceived",
    "DisconnectReceived",
    "MqttClient",
    "MqttProtocolError",
    "MqttServer",
    "MqttSilenceError",
    "PubackReceived",
    "PublishReceived",
    "ServerEvent",
    "SubackReceived",
    "SubscribeReceived",
    "UnsubackReceived",
    "UnsubscribeReceived",
    "Will",
    "matches",
]
