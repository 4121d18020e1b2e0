"""The local hub: IoT Hub's cloud-to-device messages on this machine, to develop and test against.

Needs the extra ``hub``: ``pip install 'c2dkit[hub]'``.
"""

try:
    from c2dkit.hub._background import BackgroundClock, BackgroundHub
    from c2dkit.hub._clock import HubClock
    from c2dkit.hub._events import (
        ConnectionEvent,
        DeviceEvent,
        EventsMissed,
        FeedbackBatchEvent,
        FeedbackEvent,
        HubEvent,
        MessageEvent,
    )
    from c2dkit.hub._fault_injection import InjectedFault
    from c2dkit.hub._faults import Fault, FaultKind
    from c2dkit.hub._identities import Right
    from c2dkit.hub._issuers import TokenIssuer
    from c2dkit.hub._local_hub import LocalHub
    from c2dkit.hub._options import HubOptions
except ModuleNotFoundError as _missing:
    raise ImportError(
        f"the local hub needs {_missing.name}; install it with: pip install 'c2dkit[hub]'", name=_missing.name
    ) from _missing

__all__ = [
    "BackgroundClock",
    "BackgroundHub",
    "ConnectionEvent",
    "DeviceEvent",
    "EventsMissed",
    "Fault",
    "FaultKind",
    "FeedbackBatchEvent",
    "FeedbackEvent",
    "HubClock",
    "HubEvent",
    "HubOptions",
    "InjectedFault",
    "LocalHub",
    "MessageEvent",
    "Right",
    "TokenIssuer",
]
