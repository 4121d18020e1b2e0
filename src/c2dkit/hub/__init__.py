"""The local hub: IoT Hub's cloud-to-device messages on this machine, to develop and test against.

Needs the extra ``hub``: ``pip install 'c2dkit[hub]'``.
"""

from c2dkit.hub._clock import HubClock
from c2dkit.hub._issuers import TokenIssuer
from c2dkit.hub._local_hub import LocalHub
from c2dkit.hub._options import HubOptions

__all__ = ["HubClock", "HubOptions", "LocalHub", "TokenIssuer"]
