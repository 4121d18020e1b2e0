"""The plugin in projects of users, each of which is run by a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

from c2dkit.testing import IotDevice

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = """
    from c2dkit.testing import IotDevice

    pytest_plugins = ["c2dkit.testing"]
    """


def run(folder: Path, tests: str, *options: str, conftest: str = CONFTEST) -> subprocess.CompletedProcess[str]:
    """Run the tests of a project, with every warning an error."""
    (folder / "conftest.py").write_text(dedent(conftest), "utf-8")
    (folder / "test_it.py").write_text(dedent(tests), "utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:asyncio", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_every_test_has_a_hub_of_its_own_which_ends_with_it(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        """
        import socket
        import threading

        seen = []

        def test_that_fails(iot_hub, iot_device):
            seen.append(iot_hub.port)
            socket.create_connection(("localhost", iot_hub.port)).close()
            assert iot_device is None

        def test_after_it(iot_hub, iot_device):
            assert f":{seen[0]};" not in iot_device.connection_string
            try:
                socket.create_connection(("localhost", seen[0])).close()
            except ConnectionRefusedError:
                pass
            else:
                raise AssertionError("the first test's hub still listens")
            assert [thread.name for thread in threading.enumerate()].count("c2dkit-hub") == 1
        """,
    )
    assert "1 failed, 1 passed" in result.stdout, result.stdout
    assert "FAILED test_it.py::test_that_fails" in result.stdout
    assert "SharedAccessKey=" not in result.stdout


def test_what_is_overridden_is_what_the_others_use(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        """
        from datetime import timedelta

        import pytest

        from c2dkit.hub import BackgroundHub, HubOptions, LocalHub

        def test_feedback_comes_at_once(iot_hub_options):
            assert iot_hub_options == HubOptions(feedback_interval=timedelta(0))

        @pytest.mark.parametrize("iot_hub_options", [HubOptions(max_delivery_count=1)])
        def test_options(iot_hub):
            assert iot_hub.call(lambda hub: hub._options.max_delivery_count) == 1

        class TestOther:
            @pytest.fixture
            def iot_hub(self):
                with BackgroundHub(LocalHub(devices=["pump-1"])) as hub:
                    yield hub

            def test_hub(self, iot_hub, iot_hub_clock, iot_device):
                assert iot_hub_clock is iot_hub.clock
                for device_id in ("pump-1", iot_device.device_id):
                    assert iot_hub.queue_depth(device_id) == 0
        """,
    )
    assert "3 passed" in result.stdout, result.stdout


def test_without_the_plugin_there_are_no_fixtures(tmp_path: Path) -> None:
    result = run(tmp_path, "def test_it(iot_hub): ...", conftest="")
    assert "fixture 'iot_hub' not found" in result.stdout


def test_the_repr_of_a_device_has_no_key() -> None:
    assert repr(IotDevice("dev-1", "SharedAccessKey=secret")) == "IotDevice(device_id='dev-1')"
