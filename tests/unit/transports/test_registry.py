from __future__ import annotations

import importlib.metadata
import ssl
import sys
from typing import TYPE_CHECKING

import pytest

import c2dkit.transports
from c2dkit import (
    CloudSender,
    DeviceCredential,
    DeviceReceiver,
    FeedbackStream,
    InvalidInputError,
    ServiceCredential,
    Settlement,
    TransportUnavailableError,
)
from c2dkit.transports import (
    AmqpDeviceTransport,
    AmqpServiceTransport,
    MqttDeviceTransport,
    ServiceOperation,
    TransportInfo,
    TransportPlugin,
    _own,
    available,
)
from c2dkit.transports._own import OWN
from c2dkit.transports._registry import device_transport, service_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from c2dkit.transports import DeviceTransport, ServiceTransport

DEVICE = "HostName=hub.example;DeviceId=dev-1;SharedAccessKey=AQEBAQ=="
SERVICE = "HostName=hub.example;SharedAccessKeyName=service;SharedAccessKey=AQEBAQ=="
FOREIGN = {"azure-iot-device": ["azure-iot-device"], "azure-iot-hub": ["azure-iot-hub", "uamqp"], "uamqp": ["uamqp"]}
OPERATIONS = frozenset(ServiceOperation)
SETTLEMENTS = frozenset(Settlement)


def device(transport: str) -> DeviceTransport:
    return device_transport(transport, DeviceCredential.from_connection_string(DEVICE), ssl_context=None, proxy=None)


def service(transport: str) -> ServiceTransport:
    return service_transport(transport, ServiceCredential.from_connection_string(SERVICE), ssl_context=None, proxy=None)


def is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture
def entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a distribution's entry points, which is on the path with its modules ``plugin`` and ``broken``."""
    (tmp_path / "c2dkit_test_plugin.py").write_text(
        "from c2dkit import Settlement\n"
        "from c2dkit.transports import AmqpDeviceTransport, TransportPlugin\n"
        "PLUGIN = TransportPlugin(device=AmqpDeviceTransport, settlements=frozenset({Settlement.COMPLETE}))\n"
        "OTHER = 3\n"
    )
    (tmp_path / "c2dkit_test_broken.py").write_text("import no_such_module\n")
    folder = tmp_path / "c2dkit_test-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: c2dkit-test\nVersion: 1.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return folder / "entry_points.txt"


def find(name: str) -> TransportInfo:
    (info,) = (info for info in available() if info.name == name)
    return info


def test_every_transport_is_listed_with_what_it_can_do() -> None:
    assert [(info.name, info.settlements, info.operations) for info in available() if info.name in OWN] == [
        ("amqp", SETTLEMENTS, OPERATIONS),
        ("amqp-ws", SETTLEMENTS, OPERATIONS),
        ("azure-iot-device", frozenset(), None),
        ("azure-iot-hub", None, OPERATIONS),
        ("https", SETTLEMENTS, OPERATIONS - {ServiceOperation.SEND}),
        ("mqtt", {Settlement.COMPLETE}, None),
        ("mqtt-ws", {Settlement.COMPLETE}, None),
        ("uamqp", SETTLEMENTS, OPERATIONS),
    ]


@pytest.mark.parametrize("name", sorted(set(OWN) - set(FOREIGN)))
def test_what_is_listed_is_what_is_made(name: str) -> None:
    info = find(name)
    assert info.missing is None
    assert info.settlements is not None
    made = device(name)
    assert (made.name, made.settlements) == (name, info.settlements)
    if info.operations is not None:
        back_end = service(name)
        assert (back_end.name, back_end.operations) == (name, info.operations)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_another_library_lacks_is_said(name: str) -> None:
    info = find(name)
    absent = [distribution for distribution in FOREIGN[name] if not is_installed(distribution)]
    assert (info.missing is None) == (not absent)
    if absent and sys.version_info < (3, 14):
        assert info.missing is not None
        assert f"{' and '.join(absent)} must be installed: pip install 'c2dkit[" in info.missing
        with pytest.raises(TransportUnavailableError, match="must be installed"):
            (device if info.operations is None else service)(name)


def test_on_a_python_without_uamqp_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    monkeypatch.setattr(_own, "_is_installed", "uamqp".__ne__)
    for name in ("uamqp", "azure-iot-hub"):
        assert "Python 3.13 or older" in str(find(name).missing)
        with pytest.raises(TransportUnavailableError, match=r"Python 3\.13 or older"):
            service(name)


def test_azure_iot_device_needs_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_own, "_is_installed", bool)
    with pytest.raises(TransportUnavailableError, match=r"AzureIotDeviceTransport\(client\).*'dev-1'"):
        device("azure-iot-device")


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(TransportUnavailableError, match=r"carrier-pigeon.*amqp, amqp-ws.*uamqp"):
        device("carrier-pigeon")


def test_a_name_of_the_other_side_is_told_with_those_of_this_one() -> None:
    with pytest.raises(TransportUnavailableError, match="no transport for a back end; there is amqp, amqp-ws, azure"):
        service("mqtt")


@pytest.mark.parametrize("public", [CloudSender, DeviceReceiver, FeedbackStream])
def test_a_text_is_no_transport_object(public: Callable[[object], object]) -> None:
    with pytest.raises(InvalidInputError, match=r"from_connection_string\(\.\.\.\) takes a connection string"):
        public(DEVICE)


def test_a_factory_makes_the_transport() -> None:
    receiver = DeviceReceiver.from_connection_string(DEVICE, transport=MqttDeviceTransport)
    assert isinstance(receiver._transport, MqttDeviceTransport)
    for module in (CloudSender, FeedbackStream):
        assert isinstance(
            module.from_connection_string(SERVICE, transport=AmqpServiceTransport)._transport, AmqpServiceTransport
        )


def test_a_transport_is_taken_as_it_is() -> None:
    adapter = MqttDeviceTransport(DeviceCredential.from_connection_string(DEVICE))
    back_end = AmqpServiceTransport(ServiceCredential.from_connection_string(SERVICE))
    assert DeviceReceiver.from_connection_string(DEVICE, transport=adapter)._transport is adapter
    assert CloudSender.from_connection_string(SERVICE, transport=back_end)._transport is back_end
    assert FeedbackStream.from_connection_string(SERVICE, transport=back_end)._transport is back_end


def test_a_transport_that_is_made_takes_nothing_more() -> None:
    adapter = MqttDeviceTransport(DeviceCredential.from_connection_string(DEVICE))
    back_end = AmqpServiceTransport(ServiceCredential.from_connection_string(SERVICE))
    with pytest.raises(InvalidInputError, match="mqtt"):
        DeviceReceiver.from_connection_string(DEVICE, transport=adapter, proxy="http://proxy:3128")
    with pytest.raises(InvalidInputError, match="amqp"):
        CloudSender.from_connection_string(SERVICE, transport=back_end, ssl_context=ssl.create_default_context())


def test_a_proxy_reaches_the_transport() -> None:
    with pytest.raises(InvalidInputError, match="proxy"):
        DeviceReceiver.from_connection_string(DEVICE, transport="mqtt-ws", proxy="not a URL")
    with pytest.raises(InvalidInputError, match="proxy"):
        FeedbackStream.from_connection_string(SERVICE, transport="https", proxy="not a URL")


def test_a_distribution_adds_a_transport(entry_points: Path) -> None:
    entry_points.write_text("[c2dkit.transports]\nmine = c2dkit_test_plugin:PLUGIN\n")
    info = find("mine")
    assert (info.settlements, info.operations, info.missing) == (frozenset({Settlement.COMPLETE}), None, None)
    assert isinstance(device("mine"), AmqpDeviceTransport)
    with pytest.raises(TransportUnavailableError, match="no transport for a back end"):
        service("mine")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("c2dkit_test_broken:PLUGIN", "cannot be loaded: ModuleNotFoundError"),
        ("c2dkit_test_plugin:NOTHING", "cannot be loaded: AttributeError"),
        ("c2dkit_test_plugin:OTHER", "no TransportPlugin"),
    ],
)
def test_a_broken_entry_point_is_reported_and_harms_nobody(entry_points: Path, target: str, why: str) -> None:
    entry_points.write_text(f"[c2dkit.transports]\nmine = {target}\n")
    info = find("mine")
    assert why in str(info.missing)
    assert find("amqp").missing is None
    with pytest.raises(TransportUnavailableError, match=why):
        device("mine")


def test_nobody_takes_a_name_of_ours(entry_points: Path) -> None:
    entry_points.write_text("[c2dkit.transports]\namqp = c2dkit_test_broken:PLUGIN\n")
    assert find("amqp").missing is None
    assert device("amqp").name == "amqp"


def test_a_plugin_is_part_of_the_public_interface() -> None:
    assert {TransportPlugin.__name__, TransportInfo.__name__, "available"} <= set(c2dkit.transports.__all__)
