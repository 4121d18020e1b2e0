from __future__ import annotations

from c2dkit._protocols.mqtt import ConnectReceived, Will


def test_a_connect_shows_no_secret() -> None:
    event = ConnectReceived("dev", False, 60, "who", b"SharedAccessSignature", Will("t", b"hidden", 0, False))
    assert repr(event) == "ConnectReceived(client_id='dev', clean_session=False, ...)"
    assert str(event) == repr(event)
