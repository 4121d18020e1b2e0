"""Run by ``nox -s tests_bare`` in an environment that has the built wheel and no extra: what must work there."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from importlib import resources
from pathlib import Path

import c2dkit

EXTRAS_ONLY = ("trustme", "typer", "rich", "pytest")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def the_extras_are_not_here() -> None:
    assert [name for name in EXTRAS_ONLY if importlib.util.find_spec(name) is not None] == []


def this_is_the_wheel() -> None:
    assert "site-packages" in Path(c2dkit.__file__).parts
    assert resources.files("c2dkit").joinpath("py.typed").is_file()
    assert importlib.metadata.metadata("c2dkit")["License-Expression"] == "MIT"


def the_public_names_can_be_imported() -> None:
    for name in ("c2dkit", "c2dkit.transports"):
        module = importlib.import_module(name)
        assert [item for item in module.__all__ if not hasattr(module, item)] == []


def a_transport_can_be_made_without_extras() -> None:
    device = "HostName=hub.example;DeviceId=dev-1;SharedAccessKey=AQEBAQ=="
    for transport in ("amqp", "mqtt"):
        c2dkit.DeviceReceiver.from_connection_string(device, transport=transport)


def the_hub_says_which_extra_it_needs() -> None:
    result = run(sys.executable, "-c", "import c2dkit.hub")
    assert result.returncode == 1, result
    assert "pip install 'c2dkit[hub]'" in result.stderr.splitlines()[-1], result


def the_plugin_for_pytest_says_which_extra_it_needs() -> None:
    for module in ("c2dkit.testing", "c2dkit.testing.contract"):
        result = run(sys.executable, "-c", f"import {module}")
        assert result.returncode == 1, result
        assert "pip install 'c2dkit[testing]'" in result.stderr.splitlines()[-1], result


def the_command_says_which_extra_it_needs() -> None:
    result = run(str(Path(sys.executable).with_name("c2dkit")), "demo")
    assert result.returncode == 1, result
    assert "pip install 'c2dkit[cli" in result.stderr, result
    assert "Traceback" not in result.stderr, result


CHECKS = (
    the_extras_are_not_here,
    this_is_the_wheel,
    the_public_names_can_be_imported,
    a_transport_can_be_made_without_extras,
    the_hub_says_which_extra_it_needs,
    the_plugin_for_pytest_says_which_extra_it_needs,
    the_command_says_which_extra_it_needs,
)

if __name__ == "__main__":
    for check in CHECKS:
        check()
        print("ok:", check.__name__.replace("_", " "))
