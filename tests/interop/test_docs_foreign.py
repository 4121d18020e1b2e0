"""Runs the Python blocks of the pages of transports that use other people's packages; see ``tests/docs/runner``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import certifi
import pytest

from c2dkit.hub import HubOptions, LocalHub
from tests.docs.runner import FOREIGN, issuer, run_page

# What azure-iot-device does when a client is made, and paho-mqtt 1.6.1 when a connection ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.socket fd:pytest.PytestUnraisableExceptionWarning"),
]
AUTHORITIES = Path(certifi.where()).read_text("ascii")
ADDRESS = "127.0.0.78"
"""Of this test alone, so that the standard ports, the only ones that those packages dial, are free."""


def new_hub() -> LocalHub:
    return LocalHub(
        devices=["dev-1", "dev-2"],
        host=ADDRESS,
        amqp_port=5671,
        mqtt_port=8883,
        https_port=443,
        options=HubOptions(feedback_interval=timedelta(0)),
        issuers=[issuer()],
    )


@pytest.mark.parametrize("page", FOREIGN, ids=lambda page: page.name)
async def test_page(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"

    def trust(hub: LocalHub) -> None:
        # azure-iot-hub looks into the file that certifi names, requests into that of the variable.
        bundle.write_text(AUTHORITIES + hub.ca_file.read_text("ascii"), "ascii")
        monkeypatch.setattr(certifi, "where", lambda: str(bundle))
        monkeypatch.setenv("SSL_CERT_FILE", str(hub.ca_file))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    await run_page(page, new_hub, tmp_path, trust)
