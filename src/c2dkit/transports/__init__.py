"""The transports that c2dkit brings, and the two ports that a transport implements."""

from c2dkit._clock import Clock
from c2dkit._models import Message
from c2dkit.transports._amqp import AmqpDeviceTransport, AmqpServiceTransport
from c2dkit.transports._azure_iot_device import AzureIotDeviceTransport
from c2dkit.transports._azure_iot_hub import AzureIotHubServiceTransport
from c2dkit.transports._ending import Ending
from c2dkit.transports._https import HttpsDeviceTransport, HttpsServiceTransport
from c2dkit.transports._https_polling import PollingInterval
from c2dkit.transports._mqtt import MqttDeviceTransport
from c2dkit.transports._plugin import DeviceFactory, ServiceFactory, TransportInfo, TransportPlugin
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
from c2dkit.transports._registry import available
from c2dkit.transports._uamqp import UamqpDeviceTransport, UamqpServiceTransport

__all__ = [
    "AmqpDeviceTransport",
    "AmqpServiceTransport",
    "AzureIotDeviceTransport",
    "AzureIotHubServiceTransport",
    "Clock",
    "Delivery",
    "DeviceFactory",
    "DeviceLink",
    "DeviceTransport",
    "Ending",
    "FeedbackBatch",
    "FeedbackLink",
    "HttpsDeviceTransport",
    "HttpsServiceTransport",
    "Message",
    "MqttDeviceTransport",
    "PollingInterval",
    "SenderLink",
    "ServiceFactory",
    "ServiceOperation",
    "ServiceTransport",
    "TransportInfo",
    "TransportPlugin",
    "UamqpDeviceTransport",
    "UamqpServiceTransport",
    "available",
]
