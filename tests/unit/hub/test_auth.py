from __future__ import annotations

import hmac
import ssl
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import trustme

from c2dkit._errors import UnauthorizedError
from c2dkit._rules import sas
from c2dkit.hub._auth import Authenticator
from c2dkit.hub._certificates import ClientCertificate, thumbprints
from c2dkit.hub._identities import Authentication, DeviceSettings, Policy, Right
from c2dkit.hub._issuers import TokenIssuer
from c2dkit.hub._keys import Keys
from c2dkit.hub._options import HubOptions
from c2dkit.hub._policies import Policies
from c2dkit.hub._state import HubState

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HOST = "hub.localtest"
KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
ISSUER = TokenIssuer.create()  # making its key takes a while
OTHER_KEY = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="


class Bench:
    def __init__(self) -> None:
        self.now = NOW
        self.state = HubState(HubOptions(), lambda: self.now)
        self.state.add_device("d1", DeviceSettings(primary_key=KEY))
        self.state.add_device("d2")
        self.policies = {**Policies(Keys()).by_name, "none": Policy(name="none", rights=frozenset())}
        self.auth = Authenticator(
            self.state,
            self.policies,
            [HOST, "localhost"],
            lambda: self.now,
            issuers=[ISSUER],
        )

    def device_token(self, device_id: str = "d1", resource: str | None = None, *, key: str | None = None) -> str:
        key = key or self.state.device(device_id).primary_key
        return sas.sign(resource or f"{HOST}/devices/{device_id}", key, LATER).text

    def policy_token(self, name: str, resource: str = HOST, *, key: str | None = None) -> str:
        return sas.sign(resource, key or self.policies[name].primary_key, LATER, name).text


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refused(text: str) -> AbstractContextManager[pytest.ExceptionInfo[UnauthorizedError]]:
    return pytest.raises(UnauthorizedError, match=text)


# The signature that official SDKs were seen to make for these texts and this key.
KNOWN = "sr=hub.localtest%2Fdevices%2Fd1&sig=2OmoEM4R4dNrD6p2TMweffco6jBc6uAHk20ZpH1woMA%3D&se=1795402252"


def test_a_token_of_an_official_sdk_holds(bench: Bench) -> None:
    grant = bench.auth.device(f"SharedAccessSignature {KNOWN}", "d1")

    assert grant.device_id == "d1"
    assert grant.policy is None
    assert grant.resource == "hub.localtest/devices/d1"
    assert grant.expires_at == datetime.fromtimestamp(1795402252, UTC)


def test_an_empty_policy_name_is_none(bench: Bench) -> None:
    assert bench.auth.device(f"SharedAccessSignature {KNOWN}&skn=", "d1").device_id == "d1"


@pytest.mark.parametrize(
    "resource", ["HUB.LocalTest/devices/d1", "localhost:15671/devices/d1", "localhost/devices/d1/"]
)
def test_the_host_compares_without_case_and_port(bench: Bench, resource: str) -> None:
    assert bench.auth.device(bench.device_token(resource=resource), "d1").device_id == "d1"


def test_a_resource_is_verified_as_it_stands_in_the_token(bench: Bench) -> None:
    raw, expiry = "hub.localtest/devices/d1", int(LATER.timestamp())
    digest = hmac.digest(b64decode(KEY), f"{raw}\n{expiry}".encode(), "sha256")
    signature = f"sig={quote(b64encode(digest), safe='')}&se={expiry}"

    assert bench.auth.device(f"SharedAccessSignature sr={raw}&{signature}", "d1").resource == raw
    with refused("neither the primary nor the secondary key"):
        bench.auth.device(f"SharedAccessSignature sr={quote(raw, safe='')}&{signature}", "d1")


def test_the_secondary_key_is_as_good(bench: Bench) -> None:
    device = bench.state.device("d1")
    policy = bench.policies["service"]

    assert bench.auth.device(bench.device_token(key=device.secondary_key), "d1")
    assert bench.auth.service(bench.policy_token("service", key=policy.secondary_key), Right.SERVICE_CONNECT)


def test_another_key_is_refused_and_the_token_is_not_shown(bench: Bench) -> None:
    token = bench.device_token(key=OTHER_KEY)

    with refused("neither the primary nor the secondary key") as caught:
        bench.auth.device(token, "d1")

    assert caught.value.hub_code == 401003
    assert token.partition("sig=")[2].partition("&")[0] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "Basic abc", "SharedAccessSignature ", "SharedAccessSignature sr=a&sig=b&se=c"])
def test_what_is_no_token_is_refused(bench: Bench, text: str) -> None:
    with refused("shared access signature"):
        bench.auth.verify(text)


def test_a_token_for_another_hub_is_refused(bench: Bench) -> None:
    with refused("another host"):
        bench.auth.device(bench.device_token(resource="elsewhere.localtest/devices/d1"), "d1")


def test_a_token_ends_by_the_hubs_clock(bench: Bench) -> None:
    token = bench.device_token()
    bench.now = LATER - timedelta(seconds=1)
    grant = bench.auth.device(token, "d1")
    bench.now = LATER

    with refused("expired"):
        bench.auth.verify(token)
    with refused("expired"):
        bench.auth.device(token, "d1")
    with refused("expired"):
        bench.auth.require_device(grant, "d1")


def test_a_service_grant_ends_too(bench: Bench) -> None:
    grant = bench.auth.service(bench.policy_token("service"), Right.SERVICE_CONNECT)
    bench.now = LATER

    with refused("expired"):
        bench.auth.require_service(grant, Right.SERVICE_CONNECT)


def test_unknown_devices_and_policies_are_refused(bench: Bench) -> None:
    with refused("no such device"):
        bench.auth.verify(bench.device_token(resource=f"{HOST}/devices/nobody"))
    with refused("no shared access policy"):
        bench.auth.verify(sas.sign(HOST, KEY, LATER, "nobody").text)
    with refused("neither a device nor a shared access policy"):
        bench.auth.verify(sas.sign(HOST, KEY, LATER).text)


def test_a_device_is_itself_alone(bench: Bench) -> None:
    with refused("another device"):
        bench.auth.device(bench.device_token("d1"), "d2")
    with refused("no such device"):
        bench.auth.device(bench.device_token("d1"), "D1")


def test_a_disabled_device_is_refused(bench: Bench) -> None:
    bench.state.device("d1").enabled = False

    with refused("disabled"):
        bench.auth.device(bench.device_token("d1"), "d1")
    with refused("disabled"):
        bench.auth.device(bench.policy_token("device"), "d1")


def test_a_policy_may_stand_for_any_device_that_its_resource_covers(bench: Bench) -> None:
    for device_id in ("d1", "d2"):
        assert bench.auth.device(bench.policy_token("device"), device_id).policy is bench.policies["device"]
        assert bench.auth.device(bench.policy_token("iothubowner", f"{HOST}/devices"), device_id)
    narrow = bench.policy_token("device", f"{HOST}/devices/d1")
    assert bench.auth.device(narrow, "d1")
    with refused("does not cover"):
        bench.auth.device(narrow, "d2")


def test_a_prefix_is_one_of_whole_segments(bench: Bench) -> None:
    bench.state.add_device("d11")

    with refused("does not cover"):
        bench.auth.device(bench.policy_token("device", f"{HOST}/devices/d1"), "d11")


RIGHTS = [
    ("iothubowner", Right.SERVICE_CONNECT, True),
    ("iothubowner", Right.REGISTRY_WRITE, True),
    ("service", Right.SERVICE_CONNECT, True),
    ("service", Right.REGISTRY_READ, False),
    ("device", Right.SERVICE_CONNECT, False),
    ("none", Right.SERVICE_CONNECT, False),
]


@pytest.mark.parametrize(("policy", "right", "has"), RIGHTS)
def test_rights_go_by_policy(bench: Bench, policy: str, right: Right, has: bool) -> None:
    token = bench.policy_token(policy)

    if has:
        assert bench.auth.service(token, right).policy is bench.policies[policy]
    else:
        with refused(right.value):
            bench.auth.service(token, right)


def test_a_service_policy_is_no_device(bench: Bench) -> None:
    with refused("DeviceConnect"):
        bench.auth.device(bench.policy_token("service"), "d1")


def test_a_device_key_opens_no_service_endpoint(bench: Bench) -> None:
    with refused("the key of a device"):
        bench.auth.service(bench.device_token(), Right.SERVICE_CONNECT)


def test_a_service_token_may_be_for_one_endpoint(bench: Bench) -> None:
    narrow = bench.policy_token("service", f"{HOST}/messages/deviceBound")

    assert bench.auth.service(narrow, Right.SERVICE_CONNECT, "messages/devicebound")
    with refused("does not cover"):
        bench.auth.service(narrow, Right.SERVICE_CONNECT, "messages/serviceBound/feedback")
    with refused("does not cover"):
        bench.auth.service(narrow, Right.SERVICE_CONNECT)


@pytest.mark.parametrize("device_id", ["a+b", "a%41", "x@sas.y", "#1"])
def test_device_ids_of_all_characters(bench: Bench, device_id: str) -> None:
    bench.state.add_device(device_id)
    once = bench.device_token(device_id)
    twice = bench.device_token(device_id, f"{HOST}/devices/{quote(device_id, safe='')}")

    for token in (once, twice):
        assert bench.auth.device(token, device_id).device_id == device_id
        assert bench.auth.plain(f"{device_id}@sas.hub", token).device_id == device_id


@pytest.mark.parametrize("hub", ["hub", "HUB", "localhost"])
def test_plain_user_names(bench: Bench, hub: str) -> None:
    assert bench.auth.plain(f"d1@sas.{hub}", bench.device_token()).device_id == "d1"
    assert bench.auth.plain(f"d1@sas.{hub}", bench.policy_token("device")).policy is bench.policies["device"]
    assert (
        bench.auth.plain(f"service@sas.root.{hub}", bench.policy_token("service")).policy is bench.policies["service"]
    )


@pytest.mark.parametrize(
    "username", ["", "d1", "d1@sas.", "@sas.hub", "d1@sas.elsewhere", "d1@sas.hub.localtest", "d1@sas.root.elsewhere"]
)
def test_other_plain_user_names_are_refused(bench: Bench, username: str) -> None:
    with refused("user name"):
        bench.auth.plain(username, bench.device_token())


def test_the_plain_user_name_must_be_that_of_the_token(bench: Bench) -> None:
    with refused("another device"):
        bench.auth.plain("d2@sas.hub", bench.device_token("d1"))
    with refused("policy that the user name has"):
        bench.auth.plain("iothubowner@sas.root.hub", bench.policy_token("service"))
    with refused("policy that the user name has"):
        bench.auth.plain("service@sas.root.hub", bench.device_token("d1"))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_token_of_entra_id_opens_all_that_a_service_may_and_no_device(bench: Bench, scheme: str) -> None:
    token = f"{scheme} {ISSUER.token(not_before=NOW)}"

    for right in (Right.SERVICE_CONNECT, Right.REGISTRY_READ, Right.REGISTRY_WRITE):
        grant = bench.auth.service(token, right, "messages/devicebound")
        assert grant.expires_at == LATER + timedelta(minutes=5)
    with refused("Microsoft Entra ID does not have the right DeviceConnect"):
        bench.auth.device(token, "d1")


def test_a_token_of_entra_id_ends(bench: Bench) -> None:
    grant = bench.auth.verify(f"Bearer {ISSUER.token(not_before=NOW)}")
    bench.now = LATER + timedelta(minutes=5)

    with refused("expired"):
        bench.auth.require_service(grant, Right.SERVICE_CONNECT)


def test_a_token_of_entra_id_is_no_password_of_sasl_plain(bench: Bench) -> None:
    with refused("shared access signature"):
        bench.auth.plain("Microsoft Entra ID@sas.root.hub", f"Bearer {ISSUER.token(not_before=NOW)}")


def test_a_hub_without_issuers_takes_no_token_of_entra_id(bench: Bench) -> None:
    auth = Authenticator(bench.state, bench.policies, [HOST], lambda: NOW)

    with refused("not one that the hub trusts"):
        auth.verify(f"Bearer {ISSUER.token(not_before=NOW)}")


FLAW = "it leads to no authority that the hub knows"


def shown(common_name: str | None = "d1", *, flaw: str | None = FLAW) -> ClientCertificate:
    certificate = trustme.CA().issue_cert("any.name", common_name=common_name)
    return ClientCertificate(ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode()), flaw)


def x509(bench: Bench, authentication: Authentication, *known: str) -> None:
    device = bench.state.device("d1")
    device.authentication, device.thumbprints = authentication, known


def test_a_certificate_is_known_by_either_thumbprint_of_either_length(bench: Bench) -> None:
    one, other, stranger = shown(), shown(), shown(flaw=None)
    sha1, sha256 = sorted(thumbprints(one.der), key=len)
    assert (len(sha1), len(sha256)) == (40, 64)
    for known in (sha1, sha256):
        x509(bench, Authentication.SELF_SIGNED, *thumbprints(other.der), known)
        bench.auth.require_certificate(one, "d1")
        bench.auth.require_certificate(other, "d1")
        with refused("neither of the device's thumbprints"):
            bench.auth.require_certificate(stranger, "d1")


def test_a_certificate_of_an_authority_is_for_the_device_that_it_names(bench: Bench) -> None:
    x509(bench, Authentication.CERTIFICATE_AUTHORITY)

    bench.auth.require_certificate(shown("d1", flaw=None), "d1")
    for common_name in ("d2", "D1", None):
        with refused("the common name of the certificate is not the device id"):
            bench.auth.require_certificate(shown(common_name, flaw=None), "d1")


def test_a_certificate_that_no_authority_vouches_for_is_refused_with_the_reason(bench: Bench) -> None:
    x509(bench, Authentication.CERTIFICATE_AUTHORITY, *thumbprints(shown().der))

    with refused(f"no registered authority vouches for the certificate: {FLAW}"):
        bench.auth.require_certificate(shown(), "d1")


def test_whoever_signs_in_with_one_cannot_use_the_other(bench: Bench) -> None:
    certificate = shown(flaw=None)
    token = bench.device_token()

    with refused("with a key, not with a certificate"):
        bench.auth.require_certificate(certificate, "d1")
    x509(bench, Authentication.SELF_SIGNED, *thumbprints(certificate.der))
    bench.auth.require_certificate(certificate, "d1")
    with refused("with a certificate, not with a key"):
        bench.auth.device(token, "d1")


def test_a_certificate_needs_a_device_that_is_there_and_enabled(bench: Bench) -> None:
    certificate = shown()
    x509(bench, Authentication.SELF_SIGNED, *thumbprints(certificate.der))

    with refused("neither a token nor a client certificate"):
        bench.auth.require_certificate(None, "d1")
    with refused("no such device"):
        bench.auth.require_certificate(certificate, "d9")
    bench.state.set_enabled("d1", enabled=False)
    with refused("disabled"):
        bench.auth.require_certificate(certificate, "d1")
