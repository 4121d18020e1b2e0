"""The transports ``mqtt`` and ``mqtt-ws``: MQTT 3.1.1 over TLS or a WebSocket, for a device."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from c2dkit._clock import SYSTEM_CLOCK
from c2dkit._driver import Driver
from c2dkit._errors import (
    C2dError,
    ClosedError,
    ConnectionLostError,
    MessageLockLostError,
    PeerProtocolError,
    UnauthorizedError,
)
from c2dkit._protocols import mqtt
from c2dkit._rules.limits import DEVICE_QUEUE_DEPTH
from c2dkit._rules.settlement import Settlement
from c2dkit._wire import mqtt as wire
from c2dkit.transports._dialer import Dialer
from c2dkit.transports._ending import Ending
from c2dkit.transports._mailbox import Mailbox
from c2dkit.transports._ports import Delivery, DeviceLink
from c2dkit.transports._tokens import token_for
from c2dkit.transports._waiting import answer, fail, link_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from c2dkit._clock import Clock
    from c2dkit._rules.credentials import DeviceCredential
    from c2dkit.transports._tokens import HubToken

__all__ = ["MqttDeviceTransport"]

PORT: Final = 8883
SUBPROTOCOL: Final = "mqtt"
KEEP_ALIVE_SECONDS: Final = 30
"""A dead link is found within one and a half times this."""
LINGER_SECONDS: Final = 1.0
SUBACK_FAILURE: Final = 0x80


class MqttDeviceTransport:
    """One device over MQTT 3.1.1 with TLS, port 8883, or a WebSocket, port 443; it can complete, and no more.

    The acknowledgment (PUBACK) of a message is held back until ``complete()`` and leaves in the order in which the
    messages came, as MQTT demands: a message completed before an earlier one waits for it. MQTT has no confirmation
    of an acknowledgment, so ``complete()`` returns at once. A message that is never completed is delivered again
    when the device connects the next time. A link that goes silent is found after 45 s.

    MQTT cannot renew a token on an open connection. Before it ends, the device connects anew: when no message is held,
    or at the latest when nine tenths of the token's time are over; what is held then comes again.

    Args:
        credential: Who the device is.
        ssl_context: What to trust, and the device's certificate for X.509; by default
            ``ssl.create_default_context()``, which honours ``SSL_CERT_FILE``.
        proxy: The HTTP proxy to go through, ``http://host:port`` or ``http://user:password@host:port``; by default
            none, whatever the environment says.
        websocket: Whether to go through a WebSocket.
        clock: What time tokens go by; by default this machine's.

    Raises:
        InvalidInputError: ``proxy`` is no such URL.
    """

    settlements: frozenset[Settlement] = frozenset({Settlement.COMPLETE})

    def __init__(
        self,
        credential: DeviceCredential,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        websocket: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name: str = "mqtt-ws" if websocket else "mqtt"
        self._credential = credential
        self._clock = clock
        self._dialer = Dialer(
            port=PORT, subprotocol=SUBPROTOCOL if websocket else None, ssl_context=ssl_context, proxy=proxy
        )

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; reading stops while more than ``prefetch`` and 50 messages wait."""
        link = _MqttDeviceLink(self._dialer.peer(self._credential), self._credential, self._clock, prefetch=prefetch)
        token = await token_for(self._credential, self._clock.now())
        stream = await self._dialer.open(self._credential)
        driver = Driver(stream, link.engine, handle=link.handle, on_closed=link.on_closed)
        try:
            await link.start(driver, token)
        except BaseException:
            await link.close()
            raise
        return link


class _MqttDeviceLink:
    _driver: Driver[mqtt.ClientEvent]

    def __init__(self, host: str, credential: DeviceCredential, clock: Clock, *, prefetch: int) -> None:
        self.engine = mqtt.MqttClient()
        self._host = host
        self._credential = credential
        self._clock = clock
        self._subscription = wire.subscription(credential.device_id)
        # A queue holds no more, so a hub never gets here, and a ping's answer is never left unread behind messages.
        self._most = max(prefetch, DEVICE_QUEUE_DEPTH)
        self._mailbox: Mailbox[Delivery] = Mailbox()
        self.ending = Ending()
        loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = loop.create_future()
        self._subscribed: asyncio.Future[None] = loop.create_future()
        self._renewing: asyncio.Task[None] | None = None
        self._renewal_due = False

    async def start(self, driver: Driver[mqtt.ClientEvent], token: HubToken | None) -> None:
        self._driver = driver
        credential = self._credential
        self.engine.connect(
            client_id=credential.device_id,
            username=wire.username(credential.host_name, credential.device_id),
            password=None if token is None else token.text.encode(),
            keep_alive=KEEP_ALIVE_SECONDS,
            # IoT Hub developer guide, "Communicate with IoT Hub using MQTT": with CleanSession 0 the subscription
            # and what is outstanding survive a reconnect. Every SDK sends 0.
            clean_session=False,
        )
        driver.start()
        await answer(self._connected, host=self._host, doing="CONNECT")
        self.engine.subscribe([(self._subscription, 1)])
        driver.wake()
        await answer(self._subscribed, host=self._host, doing="SUBSCRIBE")
        # An end that came together with the last answer would not end what begins now, and ``close`` waits for that.
        if token is not None and self.ending.error is None:
            self._renewing = asyncio.create_task(self._stay_signed_in(token))

    async def receive(self) -> Delivery:
        delivery = await self._mailbox.get()
        if not self.engine.reading and len(self._mailbox) <= self._most:
            self.engine.reading = True
            self._driver.resume_reading()
        return delivery

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        if self.ending.error is not None:
            raise MessageLockLostError(
                "the connection that the message came on has ended; the hub delivers the message again"
            ) from self.ending.error
        if isinstance(delivery.tag, int):  # QoS 0 has no acknowledgment
            self.engine.acknowledge(delivery.tag)
            self._driver.wake()
            self._renew_if_quiet()

    async def close(self) -> None:
        if self.ending.error is None:
            self.engine.disconnect()
        self._lost(ClosedError("the receiver is closed"))
        await self._driver.aclose(linger=LINGER_SECONDS)
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    async def _stay_signed_in(self, token: HubToken) -> None:
        try:
            await self._clock.until(token.renew_at)
            await token_for(self._credential, self._clock.now())  # a ready-made one says that there is no other
        except C2dError as error:
            self._fail(error)
            return
        self._renewal_due = True
        self._renew_if_quiet()
        await self._clock.until(token.renew_at + (token.expires_at - token.renew_at) / 2)
        self._renew()

    def _renew_if_quiet(self) -> None:
        if self._renewal_due and not self.engine.unacknowledged:
            self._renew()

    def _renew(self) -> None:
        self.engine.disconnect()  # behind the PUBACKs that wait to be written
        self._driver.wake()
        self._lost(
            ConnectionLostError("the connection has ended to make room for one with a fresh token"), planned=True
        )

    def handle(self, events: Sequence[mqtt.ClientEvent]) -> None:
        for event in events:
            match event:
                case mqtt.PublishReceived():
                    self._publish(event)
                case mqtt.ConnackReceived():
                    self._connack(event)
                case mqtt.SubackReceived():
                    self._suback(event)
                case _:
                    pass
        if len(self._mailbox) > self._most:
            self.engine.reading = False  # what is not read is no silence of the hub
            self._driver.pause_reading()

    def _publish(self, event: mqtt.PublishReceived) -> None:
        try:
            message = wire.decode_publish(event.topic, event.payload)
        except ValueError as error:
            self._fail(PeerProtocolError(f"{self._host} sent a topic that is no cloud-to-device message's: {error}"))
            return
        self._mailbox.put(Delivery(message, None, event.packet_id))

    def _connack(self, event: mqtt.ConnackReceived) -> None:
        if event.return_code != 0:
            self._fail(wire.connack_error(event.return_code))
        elif not self._connected.done():
            self._connected.set_result(None)

    def _suback(self, event: mqtt.SubackReceived) -> None:
        if SUBACK_FAILURE in event.return_codes:
            self._fail(UnauthorizedError(f"{self._host} refused the subscription to the device's messages"))
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _fail(self, error: C2dError) -> None:
        self._lost(error)
        self._driver.finish()

    def on_closed(self, cause: Exception | None) -> None:
        self._lost(link_error(cause, host=self._host))

    def _lost(self, error: C2dError, *, planned: bool = False) -> None:
        if not self.ending.come(error, planned=planned):
            return
        if self._renewing is not None:
            self._renewing.cancel()
        self._mailbox.close(error)
        fail(self._connected, error)
        fail(self._subscribed, error)
