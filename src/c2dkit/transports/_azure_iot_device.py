"""The transport ``azure-iot-device``: receives through an ``IoTHubDeviceClient`` that the application already holds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from c2dkit._errors import InvalidInputError
from c2dkit.transports._azure_iot_device_link import ClientLink
from c2dkit.transports._azure_iot_device_unread import Unread
from c2dkit.transports._foreign import load

if TYPE_CHECKING:
    from c2dkit._rules.settlement import Settlement
    from c2dkit.transports._azure_iot_device_link import DeviceClient
    from c2dkit.transports._ports import DeviceLink

__all__ = ["AzureIotDeviceTransport"]

NAME: Final = "azure-iot-device"
RECONNECT_WITHIN: Final = timedelta(minutes=1)


class AzureIotDeviceTransport:
    """One device through the client of the package azure-iot-device that the application already holds.

    IoT Hub lets a device connect once, so an application that sends its telemetry through such a client receives its
    messages through it as well. The client may be the synchronous one or that of ``azure.iot.device.aio``, made from
    a connection string, an X.509 certificate or by the Device Provisioning Service.

    What it costs: that client acknowledges a message as soon as it has read it, before anybody has handled it. So
    nothing can be settled (``settlements`` is empty; ``complete``, ``abandon`` and ``reject`` raise
    UnsupportedSettlementError), feedback says "Success" for whatever was delivered, and **a crash loses every message
    that is in memory**. It also keeps in memory whatever it is given, without a bound of its own. So while ``prefetch``
    messages wait for the application the client is made to unsubscribe, and the rest waits at the hub, up to what was
    on its way. What waits in memory when a receiver closes is kept in this object for its next receiver.

    ``open`` connects the client if it is not connected, and puts c2dkit's handlers in the place of its
    ``on_message_received``, ``on_connection_state_change`` and ``on_background_exception``; the last two go on to call
    those that they replace. Leave these three alone while a receiver is open. ``close`` puts the old ones back, and
    leaves the client connected. Without an old ``on_message_received`` that unsubscribes; while the client is
    disconnected it cannot unsubscribe, so c2dkit's stays and keeps what comes for the next receiver of this object.

    A lost connection is for that client to restore, and receiving goes on when it has. The receiver ends with an error
    when the client says that it will not try again (UnauthorizedError, for one), and with ConnectionLostError when it
    has been without a connection for ``reconnect_within``, which is also how a client that was shut down is found. A
    second receiver of one client takes over, and the first ends with ConnectionLostError.

    Messages keep their order as far as that client does: it calls a handler from four threads, which take messages
    from one queue.

    Args:
        client: The ``IoTHubDeviceClient``. It stays the application's, which shuts it down.
        reconnect_within: How long the client may be without a connection.

    Raises:
        TransportUnavailableError: The package azure-iot-device is not installed.
        InvalidInputError: ``client`` is no ``IoTHubDeviceClient``; modules have no cloud-to-device messages.
    """

    name: str = NAME
    settlements: frozenset[Settlement] = frozenset()

    def __init__(self, client: object, *, reconnect_within: timedelta = RECONNECT_WITHIN) -> None:
        self._client: DeviceClient = _checked(client)
        self._reconnect_within = reconnect_within
        self._unread = Unread()

    async def open(self, *, prefetch: int) -> DeviceLink:
        """See ``DeviceTransport.open``; the client unsubscribes while ``prefetch`` messages wait."""
        link = ClientLink(
            self._client, self._unread, prefetch=prefetch, reconnect_seconds=self._reconnect_within.total_seconds()
        )
        try:
            await link.start()
        except BaseException:
            await link.close()
            raise
        return link


def _checked(client: object) -> DeviceClient:
    device = load("azure.iot.device", transport=NAME, extra="azure")
    aio = load("azure.iot.device.aio", transport=NAME, extra="azure")
    if not isinstance(client, (device.IoTHubDeviceClient, aio.IoTHubDeviceClient)):
        raise InvalidInputError(f"a {type(client).__name__} is no IoTHubDeviceClient of azure-iot-device")
    return cast("DeviceClient", client)
