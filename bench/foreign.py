"""Installs the other libraries in a cache folder, once, or says why a client cannot take part."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.contestants import Contestant, Home

__all__ = ["CLIENTS", "Cache"]

CLIENTS = Path(__file__).parent / "clients"

REQUIREMENTS = {
    "azure-iot-device": ["azure-iot-device==2.14.0"],
    "uamqp": ["uamqp==1.6.11"],
    "python-qpid-proton": ["python-qpid-proton==0.40.0", "anyio>=4.10"],
}


class Cache:
    """A folder with a virtual environment and a ``node_modules``; ``missing`` says what is not there and why."""

    def __init__(self, folder: Path) -> None:
        self._venv = folder / "venv"
        self._node = folder / "node"
        self._done: dict[str, str | None] = {}

    def missing(self, contestant: Contestant) -> str | None:
        """Install what the client needs; return None when it is there, otherwise the reason why not."""
        key = contestant.needs or contestant.home.value
        if key not in self._done:
            self._done[key] = self._install(contestant)
        return self._done[key]

    def command(self, contestant: Contestant) -> list[str]:
        """Return the start of the command that runs a client's program."""
        if contestant.home is Home.NODE:
            node_options = ["--expose-gc", str(self._node / f"{contestant.program}.js")]
            return ["node", *node_options]
        python = sys.executable if contestant.home is Home.PROJECT else str(self._python)
        return [python, "-m", f"bench.clients.{contestant.program}"]

    @property
    def _python(self) -> Path:
        return self._venv / "bin" / "python"

    def _install(self, contestant: Contestant) -> str | None:
        try:
            if contestant.home is Home.FOREIGN:
                self._pip_install(contestant.needs)
            elif contestant.home is Home.NODE:
                self._npm_install()
        except FileNotFoundError as error:
            return f"{error.filename} is not installed"
        except subprocess.CalledProcessError as error:
            return f"{' '.join(map(str, error.cmd))} failed: {error.stderr.strip()[-400:]}"
        return None

    def _pip_install(self, distribution: str) -> None:
        if not self._python.exists():
            _run([sys.executable, "-m", "venv", str(self._venv)])
        _run([str(self._python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[distribution]])

    def _npm_install(self) -> None:
        # Node looks for modules beside the program, so the program goes to the modules.
        self._node.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "node_device.js"):
            shutil.copy(CLIENTS / name, self._node / name)
        _run(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(self._node)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
