from __future__ import annotations

import base64
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from c2dkit._errors import ConnectionStringError
from c2dkit._rules import sas
from c2dkit._rules.credentials import DeviceCredential, ServiceCredential

KEY = base64.b64encode(b"\x01" * 32).decode()
NOW = datetime.fromtimestamp(1795402252 - 3600, tz=UTC)
DEVICE = f"HostName=hub.localtest;DeviceId=d1;SharedAccessKey={KEY}"
SERVICE = f"HostName=hub.localtest;SharedAccessKeyName=service;SharedAccessKey={KEY}"


def signature(resource: str, expires_at: datetime = NOW + timedelta(hours=1), policy: str | None = None) -> str:
    return sas.sign(resource, KEY, expires_at, policy).text


def test_a_device_with_its_own_key() -> None:
    credential = DeviceCredential.from_connection_string(DEVICE)
    assert credential == DeviceCredential(host_name="hub.localtest", device_id="d1", shared_access_key=KEY)
    assert credential.dial == ("hub.localtest", None)
    token = credential.token(NOW)
    assert token.text == (
        "SharedAccessSignature sr=hub.localtest%2Fdevices%2Fd1"
        "&sig=2OmoEM4R4dNrD6p2TMweffco6jBc6uAHk20ZpH1woMA%3D&se=1795402252"
    )
    assert (token.resource, token.policy) == ("hub.localtest/devices/d1", None)
    assert (token.renew_at, token.expires_at) == (NOW + timedelta(minutes=48), NOW + timedelta(hours=1))


def test_a_device_with_the_key_of_a_policy() -> None:
    credential = DeviceCredential.from_connection_string(f"{DEVICE};SharedAccessKeyName=device")
    token = credential.token(NOW, ttl=timedelta(minutes=10))
    assert token.text.endswith("&skn=device")
    assert (token.resource, token.policy) == ("hub.localtest/devices/d1", "device")
    assert (token.renew_at, token.expires_at) == (NOW + timedelta(minutes=8), NOW + timedelta(minutes=10))


@pytest.mark.parametrize("scope", ["hub.localtest/devices/d1", "hub.localtest:15671/devices/d1", "hub.localtest"])
def test_a_device_with_a_ready_made_signature(scope: str) -> None:
    text = signature(scope, policy="device")
    credential = DeviceCredential.from_connection_string(
        f"HostName=hub.localtest:15671;DeviceId=d1;SharedAccessSignature={text}"
    )
    token = credential.token(NOW)
    assert (token.text, token.policy, token.resource) == (text, "device", "hub.localtest/devices/d1")
    assert token.expires_at == token.renew_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("value", ["true", "True"])
def test_a_device_with_a_certificate(value: str) -> None:
    credential = DeviceCredential.from_connection_string(f"HostName=hub.localtest;DeviceId=d1;x509={value}")
    assert credential.x509
    with pytest.raises(ConnectionStringError, match="has no token"):
        credential.token(NOW)


def test_the_certificate_of_a_device_may_be_in_files() -> None:
    credential = DeviceCredential(
        host_name="h",
        device_id="d1",
        x509=True,
        certificate_file="c.pem",
        key_file=Path("k.pem"),
        key_password="s3cret",
    )
    assert (credential.certificate_file, credential.key_file) == ("c.pem", Path("k.pem"))
    assert "s3cret" not in repr(credential)
    with pytest.raises(ConnectionStringError, match="certificate_file goes with x509=True"):
        DeviceCredential(host_name="h", device_id="d1", shared_access_key=KEY, certificate_file="c.pem")
    with pytest.raises(ConnectionStringError, match="go with certificate_file"):
        DeviceCredential(host_name="h", device_id="d1", x509=True, key_file="k.pem")
    with pytest.raises(ConnectionStringError, match="go with certificate_file"):
        DeviceCredential(host_name="h", device_id="d1", x509=True, key_password="s3cret")


def test_a_device_behind_a_gateway() -> None:
    credential = DeviceCredential.from_connection_string(f"{DEVICE};GatewayHostName=edge.local:8884")
    assert credential.dial == ("edge.local", 8884)
    assert (credential.host_name, credential.resource) == ("hub.localtest", "hub.localtest/devices/d1")


def test_a_back_end_with_a_key() -> None:
    credential = ServiceCredential.from_connection_string(SERVICE)
    assert credential == ServiceCredential(
        host_name="hub.localtest", shared_access_key_name="service", shared_access_key=KEY
    )
    assert credential.dial == ("hub.localtest", None)
    token = credential.token(datetime.fromtimestamp(1795402053 - 60, tz=UTC), ttl=timedelta(minutes=1))
    assert token.text == (
        "SharedAccessSignature sr=hub.localtest"
        "&sig=YYeypqQzBPeZ86P2gbUbJB%2BIT4Xbp3fWG8q6%2Be2gTbI%3D&se=1795402053&skn=service"
    )


def test_a_back_end_with_a_ready_made_signature() -> None:
    text = signature("hub.localtest", policy="service")
    credential = ServiceCredential.from_connection_string(f"HostName=hub.localtest;SharedAccessSignature={text}")
    token = credential.token(NOW)
    assert (token.text, token.policy, token.renew_at) == (text, "service", NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("host", "dial", "sr"),
    [
        ("localhost:15671", ("localhost", 15671), "sr=localhost%2Fdevices%2Fd1&"),
        ("[::1]:15671", ("::1", 15671), "sr=%5B%3A%3A1%5D%2Fdevices%2Fd1&"),
        ("[::1]", ("::1", None), "sr=%5B%3A%3A1%5D%2Fdevices%2Fd1&"),
    ],
)
def test_a_port_is_dialled_and_not_signed(host: str, dial: tuple[str, int | None], sr: str) -> None:
    credential = DeviceCredential.from_connection_string(f"HostName={host};DeviceId=d1;SharedAccessKey={KEY}")
    assert credential.dial == dial
    assert sr in credential.token(NOW).text
    back_end = ServiceCredential.from_connection_string(
        f"HostName={host};SharedAccessKeyName=service;SharedAccessKey={KEY}"
    )
    assert back_end.dial == dial


BROKEN_DEVICES = {
    f"DeviceId=d1;SharedAccessKey={KEY}": "HostName is missing",
    f"HostName=h;SharedAccessKey={KEY}": "DeviceId is missing$",
    f"HostName=h;SharedAccessKeyName=service;SharedAccessKey={KEY}": "DeviceId is missing: this is a hub's",
    "HostName=h;DeviceId=d1": "one of SharedAccessKey, SharedAccessSignature and x509=true",
    f"HostName=h;DeviceId=d1;SharedAccessKey={KEY};x509=true": "one of SharedAccessKey",
    f"HostName=h;DeviceId=d1;SharedAccessKey={KEY};SharedAccessSignature={signature('h')}": "one of SharedAccessKey",
    "HostName=h;DeviceId=d1;x509=false": "x509 can only be true",
    "HostName=h;DeviceId=d1;SharedAccessKey=no base64": "SharedAccessKey is not base64",
    f"HostName=h;DeviceId=d1;SharedAccessKey={KEY[:-1]}": "SharedAccessKey is not base64",
    f"HostName=h;DeviceId=d 1;SharedAccessKey={KEY}": "DeviceId must be 1 to 128",
    f"HostName=amqps://h;DeviceId=d1;SharedAccessKey={KEY}": "HostName is not a host name",
    f"HostName=h;DeviceId=d1;SharedAccessKey={KEY};GatewayHostName=g:x": "GatewayHostName is not a host name",
    "HostName=h;DeviceId=d1;SharedAccessSignature=abc": "SharedAccessSignature cannot be used: .* begins with",
    f"HostName=h;DeviceId=d1;SharedAccessSignature={signature('other')}": "for another resource than h/devices/d1",
    f"HostName=h;DeviceId=d1;SharedAccessSignature={signature('h/devices/d2')}": "for another resource",
}

BROKEN_SERVICES = {
    f"SharedAccessKeyName=service;SharedAccessKey={KEY}": "HostName is missing",
    f"HostName=h;SharedAccessKey={KEY}": "SharedAccessKeyName is missing",
    "HostName=h;SharedAccessKeyName=service": "one of SharedAccessKey and SharedAccessSignature",
    f"{SERVICE};SharedAccessSignature={signature('hub.localtest')}": "one of SharedAccessKey and",
    "HostName=h;SharedAccessKeyName=service;SharedAccessKey=secret!": "SharedAccessKey is not base64",
    f"HostName=h;SharedAccessSignature={signature('h/devices/d1')}": "for another resource than h$",
    f"{DEVICE}": "DeviceId does not belong here",
}


@pytest.mark.parametrize(("text", "expected"), BROKEN_DEVICES.items())
def test_what_is_wrong_with_a_devices_connection_string(text: str, expected: str) -> None:
    with pytest.raises(ConnectionStringError, match=expected) as caught:
        DeviceCredential.from_connection_string(text)
    assert_no_secret(str(caught.value))


@pytest.mark.parametrize(("text", "expected"), BROKEN_SERVICES.items())
def test_what_is_wrong_with_a_hubs_connection_string(text: str, expected: str) -> None:
    with pytest.raises(ConnectionStringError, match=expected) as caught:
        ServiceCredential.from_connection_string(text)
    assert_no_secret(str(caught.value))


def assert_no_secret(shown: str) -> None:
    assert KEY.rstrip("=") not in shown
    assert "no base64" not in shown
    assert "sig=" not in shown


def test_keyword_arguments_are_checked_as_well() -> None:
    with pytest.raises(ConnectionStringError, match="the port of HostName is an argument of its own"):
        DeviceCredential(host_name="localhost:15671", device_id="d1", shared_access_key=KEY)
    with pytest.raises(ConnectionStringError, match="SharedAccessKey is not base64"):
        ServiceCredential(host_name="h", shared_access_key_name="service", shared_access_key="secret!")


def test_a_ready_made_signature_that_has_expired_is_refused_before_connecting() -> None:
    end = NOW + timedelta(hours=1)
    device = DeviceCredential(host_name="h", device_id="d1", shared_access_signature=signature("h", end))
    service = ServiceCredential(host_name="h", shared_access_signature=signature("h", end))
    credentials: list[DeviceCredential | ServiceCredential] = [device, service]
    for credential in credentials:
        assert credential.token(end - timedelta(seconds=1)).expires_at == end
        with pytest.raises(ConnectionStringError, match="SharedAccessSignature expired at 2026-11-23T"):
            credential.token(end)


def test_secrets_do_not_show() -> None:
    made = signature("hub.localtest")
    credentials: list[DeviceCredential | ServiceCredential] = [
        DeviceCredential.from_connection_string(DEVICE),
        DeviceCredential(host_name="hub.localtest", device_id="d1", shared_access_signature=made),
        ServiceCredential.from_connection_string(SERVICE),
        ServiceCredential(host_name="hub.localtest", shared_access_signature=made),
    ]
    for credential in credentials:
        for shown in (repr(credential), str(credential), repr([credential]), repr(credential.token(NOW))):
            assert "hub.localtest" in shown
            assert KEY not in shown
            assert "sig=" not in shown


def test_a_credential_cannot_be_changed_but_copied() -> None:
    credential = DeviceCredential.from_connection_string(DEVICE)
    with pytest.raises(AttributeError):
        credential.device_id = "d2"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert pickle.loads(pickle.dumps(credential)) == credential
