from __future__ import annotations

import sys

import pytest

from c2dkit import ServiceError, TransportUnavailableError
from c2dkit.transports._foreign import ForeignError, load, row_of

TABLE = {"OSError": ForeignError(ServiceError, transient=True)}


def test_a_module_that_is_there_is_imported() -> None:
    assert load("json", transport="x", extra="x") is sys.modules["json"]


def test_a_module_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(
        TransportUnavailableError, match=r"'azure-iot-hub' cannot be used.*pip install 'c2dkit\[azure\]'"
    ):
        load("no_such_module_of_anybody", transport="azure-iot-hub", extra="azure")


@pytest.mark.parametrize("version", [(3, 14), (3, 15)])
def test_uamqp_cannot_be_installed_from_python_3_14_on(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
) -> None:
    monkeypatch.setitem(sys.modules, "uamqp", None)
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(TransportUnavailableError, match=r"no wheel for Python 3\.14") as refused:
        load("uamqp", transport="uamqp", extra="uamqp")
    assert "pip install" not in str(refused.value)


def test_uamqp_can_be_installed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uamqp", None)
    monkeypatch.setattr(sys, "version_info", (3, 13))
    with pytest.raises(TransportUnavailableError, match=r"pip install 'c2dkit\[uamqp\]'"):
        load("uamqp", transport="uamqp", extra="uamqp")


def test_an_exception_is_found_by_its_nearest_base_class() -> None:
    assert row_of(FileNotFoundError(), TABLE) == TABLE["OSError"]


def test_an_unknown_exception_is_the_services() -> None:
    assert row_of(ValueError(), TABLE) == ForeignError(ServiceError, transient=False)
