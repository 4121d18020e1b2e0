"""The hub's MQTT 3.1.1 door: one device a connection, which receives its messages and acknowledges them.

Source: IoT Hub developer guide, "Communicate with an IoT hub using the MQTT protocol". What is our reading of it is
marked as inferred.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from c2dkit._driver import Driver
from c2dkit._errors import C2dError, DeviceNotFoundError, ServiceError, UnauthorizedError
from c2dkit._protocols import mqtt
from c2dkit._wire.mqtt import decode_event_properties, encode_topic, parse_username
from c2dkit.hub._certificates import peer_certificate
from c2dkit.hub._fault_stream import wire_of
from c2dkit.hub._guests import CLOSED_BY_CLIENT, DROPPED_BY_HUB, Guests, lost
from c2dkit.hub._peer import peer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from anyio.abc import ByteStream

    from c2dkit._protocols.amqp import AmqpError
    from c2dkit.hub._auth import Grant
    from c2dkit.hub._core import HubCore
    from c2dkit.hub._faults import FaultLink
    from c2dkit.hub._listener import Visit
    from c2dkit.hub._mqtt_sessions import Session, Sessions
    from c2dkit.hub._state import Locked
    from c2dkit.hub._timers import Timer

__all__ = ["MqttDoor", "MqttVisit"]

log = logging.getLogger("c2dkit.hub")

ACCEPTED: Final = 0
NOT_AUTHORIZED: Final = 5
"""The hub's answer to every CONNECT that it refuses, whatever the reason."""

KEEP_ALIVE_LIMIT_SECONDS: Final = 1767.0
"""The longest silence that IoT Hub bears, whatever keep-alive a client asks for; 29.45 minutes."""

MAX_UNACKNOWLEDGED: Final = 50
"""As many messages as a device's queue can hold (inferred: IoT Hub documents no limit)."""


LINGER_SECONDS: Final = 1.0
"""How long a client that was refused may take to close the connection."""


class Sent(NamedTuple):
    """A message that waits for its PUBACK."""

    device_id: str
    lock_token: UUID


class MqttDoor:
    """Lets devices in over MQTT.

    Args:
        core: The hub.
        sessions: The sessions that outlive their connection.
    """

    def __init__(self, core: HubCore, sessions: Sessions) -> None:
        self._core = core
        self._sessions = sessions

    def __call__(self, stream: ByteStream, initial: bytes, on_closed: Callable[[Visit], None]) -> Visit:
        """Serve one connection."""
        return MqttVisit(self._core, self._sessions, stream, initial, on_closed)


class MqttVisit:
    """One device's connection."""

    protocol: ClassVar[str] = "MQTT"

    def __init__(
        self,
        core: HubCore,
        sessions: Sessions,
        stream: ByteStream,
        initial: bytes,
        on_closed: Callable[[Visit], None],
    ) -> None:
        self._core = core
        self._sessions = sessions
        self.wire = wire_of(stream)
        self._certificate = peer_certificate(stream)
        self.peer = peer_of(stream, self.protocol)
        self._guests = Guests(core.events, self.peer)
        self._on_closed = on_closed
        self._device_id: str | None = None
        self._grant: Grant | None = None
        self._session: Session | None = None
        self._unacknowledged: dict[int, Sent] = {}
        self._expiry: Timer[datetime] | None = None
        self._over = False
        self._lingering: asyncio.Task[None] | None = None
        self._engine = mqtt.MqttServer()
        self._engine.keep_alive_limit = KEEP_ALIVE_LIMIT_SECONDS
        self._driver = Driver(
            stream,
            self._engine,
            handle=self._handle,
            on_closed=self._closed,
            on_sent=self.pull,
            clock=core.patience,
        )
        core.connections.add(self)
        self._driver.start(initial)

    @property
    def is_known(self) -> bool:
        """Whether a CONNECT has been accepted."""
        return self._device_id is not None

    @property
    def device_ids(self) -> Collection[str]:
        """The device, once it has signed in."""
        return () if self._device_id is None else (self._device_id,)

    @property
    def clients(self) -> Collection[str]:
        """The device: MQTT is for no one else."""
        return self.device_ids

    def reauthorize(self) -> None:
        """Drop the connection if the device could not make it now."""
        try:
            self._authorize()
        except UnauthorizedError as error:
            log.info("dropped the MQTT connection of %s: %s", self._device_id, error)
            self._end(str(error))

    def drop(self) -> None:
        """End the connection, of which MQTT 3.1.1 has no other way than to close it."""
        self._end(DROPPED_BY_HUB)

    def close(self, _: AmqpError | None, /) -> None:
        """End the connection: MQTT 3.1.1 has no goodbye of a server."""
        self._end(DROPPED_BY_HUB)

    def detach_links(self, _: AmqpError | None, /, *, link: FaultLink | None, device_id: str | None) -> bool:
        """Return that MQTT has no links."""
        return False

    def end_sessions(self, _: AmqpError | None, /, *, device_id: str | None) -> bool:
        """Return that MQTT has no sessions of that kind."""
        return False

    async def aclose(self) -> None:
        """End the connection and wait until it is over."""
        self._end(DROPPED_BY_HUB)
        await self._driver.aclose()

    def pull(self) -> None:
        """Deliver what waits, up to the number of messages that may be unacknowledged, while the device reads."""
        if self._device_id is None or self._session is None or self._session.qos is None:
            return
        try:
            while not (self._over or self._driver.sending) and len(self._unacknowledged) < MAX_UNACKNOWLEDGED:
                locked = self._core.state.receive(self._device_id, holder=self, lock_for=None)
                if locked is None:
                    break
                self._deliver(self._device_id, locked, self._session.qos)
        except DeviceNotFoundError:
            self._end("the device is disabled or removed")  # IoT Hub closes the connection
        self._core.changed()
        self._driver.wake()

    def displace(self) -> None:
        """Drop the connection, for the device has come again: 400027 ConnectionForcefullyClosedOnNewConnection."""
        log.info("dropped an older MQTT connection of %s", self._device_id)
        self._end("the device has connected anew")

    def _handle(self, events: Sequence[mqtt.ServerEvent]) -> None:
        # After DISCONNECT nothing may be answered, but what it acknowledged before counts.
        leaving = isinstance(events[-1], mqtt.DisconnectReceived)
        for event in events:
            if self._over:
                return
            if not leaving or isinstance(event, mqtt.PubackReceived | mqtt.DisconnectReceived):
                self._on_event(event)
        self.pull()

    def _on_event(self, event: mqtt.ServerEvent) -> None:
        match event:
            case mqtt.PubackReceived():
                self._on_puback(event)
            case mqtt.PublishReceived():
                self._on_publish(event)
            case mqtt.ConnectReceived():
                self._on_connect(event)
            case mqtt.SubscribeReceived():
                self._on_subscribe(event)
            case mqtt.UnsubscribeReceived():
                self._on_unsubscribe(event)
            case mqtt.DisconnectReceived():
                self._end(CLOSED_BY_CLIENT)

    def _on_connect(self, event: mqtt.ConnectReceived) -> None:
        try:
            device_id = self._authenticate(event)
            self._core.gate.connect(device_id)
        except (C2dError, ValueError) as error:
            log.info("refused an MQTT connection: %s", error)
            self._engine.connack(NOT_AUTHORIZED)
            self._refuse(str(error))
            return
        if self._core.faults.refuses(device_id):
            self._end(DROPPED_BY_HUB)
            return
        log.info("%s connected over MQTT", device_id)
        self._device_id = device_id
        self._core.receivers.claim(device_id, self)
        self._guests.signed_in(device_id)
        self._session, present = self._sessions.start(device_id, clean=event.clean_session)
        # With a kept session messages follow at once, before the device subscribes again.
        self._engine.connack(ACCEPTED, session_present=present)
        self._core.faults.came(self)

    def _authenticate(self, event: mqtt.ConnectReceived) -> str:
        if event.username is None:
            raise UnauthorizedError("CONNECT has no user name")
        _, device_id = parse_username(event.username)
        if event.client_id != device_id:
            # A module connects as {device}/{module} and has no cloud-to-device messages (inferred).
            raise UnauthorizedError("the client id is not the device id of the user name")
        if not event.password:  # SDKs that sign in with a certificate send none, or an empty one
            self._core.auth.require_certificate(self._certificate, device_id)
            return device_id
        grant = self._core.auth.device(event.password.decode(), device_id)
        self._grant = grant.outliving(self._core.options.token_grace)
        self._expiry = self._core.timers.call_at(self._grant.expires_at, self._expire)
        return device_id

    def _authorize(self) -> None:
        if self._device_id is None:
            return
        if self._grant is None:
            self._core.auth.require_certificate(self._certificate, self._device_id)
        else:
            self._core.auth.require_device(self._grant, self._device_id)

    def _expire(self) -> None:
        log.info("dropped the MQTT connection of %s: its token has expired", self._device_id)
        self._end("the token has expired")

    def _on_subscribe(self, event: mqtt.SubscribeReceived) -> None:
        assert self._session is not None  # noqa: S101 - the engine lets nothing pass before CONNECT
        subscribed = self._session.qos is not None
        subscribe = self._session.subscribe
        self._engine.suback(event.packet_id, [subscribe(*wanted) for wanted in event.filters])
        if self._core.options.mqtt_rejects_early_messages and not subscribed and self._session.qos is not None:
            self._reject_early()

    def _reject_early(self) -> None:
        """Reject what was sent before the device subscribed: all that waits now."""
        assert self._device_id is not None  # noqa: S101 - the engine lets nothing pass before CONNECT
        state = self._core.state
        while locked := state.receive(self._device_id, holder=self):
            state.reject(self._device_id, locked.lock_token)

    def _on_unsubscribe(self, event: mqtt.UnsubscribeReceived) -> None:
        assert self._session is not None  # noqa: S101 - the engine lets nothing pass before CONNECT
        for topic_filter in event.filters:
            self._session.unsubscribe(topic_filter)
        self._engine.unsuback(event.packet_id)

    def _on_publish(self, event: mqtt.PublishReceived) -> None:
        if event.qos > 1:
            log.info("dropped the MQTT connection of %s: IoT Hub takes no QoS 2", self._device_id)
            self._end("IoT Hub takes no QoS 2")
            return
        assert self._device_id is not None  # noqa: S101 - the engine lets nothing pass before CONNECT
        try:
            self._core.gate.event(self._device_id, self._event_properties(event.topic))
        except ServiceError as error:
            # MQTT 3.1.1 has no way to refuse a message (3.3.5) but to close the connection.
            log.info("dropped the MQTT connection of %s: %s", self._device_id, error)
            self._end(str(error))
            return
        if event.packet_id is not None:
            self._engine.puback(event.packet_id)

    def _event_properties(self, topic: str) -> Mapping[str, object]:
        try:
            return decode_event_properties(topic, self._device_id or "")
        except ValueError:  # twins, methods and whatever else is published
            return {}

    def _deliver(self, device_id: str, locked: Locked, qos: int) -> None:
        try:
            topic = encode_topic(device_id, locked.message)
            packet_id = self._engine.publish(topic, locked.message.body, qos=qos, dup=qos > 0 and locked.redelivered)
        except ValueError as error:
            # A topic is at most 65,535 bytes (MQTT 1.5.3), and percent-encoding can triple the properties' 64 KB.
            log.warning("dead-lettered a message for %s, which MQTT cannot carry: %s", device_id, error)
            self._core.state.reject(device_id, locked.lock_token)
            return
        if packet_id is None:  # QoS 0: nothing will come back, so it is complete as it is sent (inferred)
            self._core.complete(device_id, locked.lock_token)
        else:
            self._unacknowledged[packet_id] = Sent(device_id, locked.lock_token)

    def _on_puback(self, event: mqtt.PubackReceived) -> None:
        sent = self._unacknowledged.pop(event.packet_id)  # the engine reports no other packet ids
        try:
            self._core.complete(*sent)
        except C2dError as error:
            log.info("an acknowledgement by %s came too late: %s", sent.device_id, error)

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._guests.over(reason)
            self._let_go()
            self._driver.finish()

    def _refuse(self, reason: str) -> None:
        self._over = True
        self._guests.refused(reason)
        self._let_go()
        # Not dropped at once: what the client has sent in the meantime would cost it the answer.
        self._lingering = asyncio.create_task(self._driver.aclose(linger=LINGER_SECONDS))

    def _let_go(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._device_id is not None:
            self._core.receivers.release(self._device_id, self)
            self._core.state.release_holder(self)
            self._core.changed()

    def _closed(self, cause: Exception | None) -> None:
        log.debug("the MQTT connection of %s is over: %r", self._device_id, cause)
        self._core.connections.remove(self)
        self._end(lost(cause))
        self._on_closed(self)
