"""The transports that c2dkit brings, and the two ports that a transport implements."""

from c2dkit._models import Message
from c2dkit.transports._amqp import AmqpDeviceTransport, AmqpServiceTransport
from c2dkit.transports._mqtt import MqttDeviceTransport
from c2dkit.transports._ports import (
    Delivery,
    DeviceLink,
    DeviceTransport,
    FeedbackBatch,
    FeedbackLink,
    SenderLink,
    ServiceOperation,
    ServiceTransport,
)

__all__ = [
    "AmqpDeviceTransport",
    "AmqpServiceTransport",
    "Delivery",
    "DeviceLink",
    "DeviceTransport",
    "FeedbackBatch",
    "FeedbackLink",
    "Message",
    "MqttDeviceTransport",
    "SenderLink",
    "ServiceOperation",
    "ServiceTransport",
]
