"""The project's checks. ``nox`` runs all but ``interop``; ``nox -l`` lists them.

The first four sessions run in the environment that nox itself is installed in (``pip install -e '.[dev]'``), on its
interpreter. The others make an environment each, because what is in it is what they test.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
# By file, because an account of what has happened is kept where its tests run.
WORKERS = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
TEST_TOOLS = ("pytest>=8.3", "pytest-timeout>=2.3", "pytest-asyncio>=1.0", "pytest-xdist>=3.6", "hypothesis>=6.115")

# What the interop session needs from outside. Proton is compiled; the Node clients are the official SDKs and their
# engines; mqtt4 is the version of MQTT.js that azure-iot-device-mqtt uses. Chromium looks at the status page.
PROGRAMS = {
    "gcc": "gcc",
    "pkg-config": "pkg-config",
    "npm": "npm",
    "node": "nodejs",
    "mosquitto": "mosquitto",
    "tinyproxy": "tinyproxy",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}
HEADERS = ("python3-dev", "libssl-dev")
NEEDS_HUB = ("hub", "test_tls.py", "transports/test_https.py")
# What these look for is not in the dependencies: engines and rules have none, and the rest takes long.
NOT_OF_DEPENDENCIES = ("typing", "chaos", "durability", "certify", "docs", "unit/protocols", "unit/rules")
PYTHON_STRANGERS = ("python-qpid-proton", "paho-mqtt==1.6.1", "selenium>=4.25")
NODE_STRANGERS = (
    "azure-iot-device",
    "azure-iot-device-mqtt",
    "azure-iot-device-amqp",
    "azure-iot-device-http",
    "azure-iothub",
    "azure-iot-common",
    "rhea",
    "mqtt4@npm:mqtt@4.3.8",
    "mqtt@5",
)
NPM_QUIET = ("--no-audit", "--no-fund", "--no-save", "--loglevel=error")

# Debian installs mosquitto where only root's PATH looks.
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def tool(session: nox.Session, name: str, *args: str) -> None:
    """Run a program of the environment that nox runs in, with that environment first on the path."""
    programs = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    session.run(str(programs / name), *args, env={"PATH": path}, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Format, lint rules and spelling."""
    tool(session, "ruff", "format", "--check", ".")
    tool(session, "ruff", "check", ".")
    tool(session, "codespell")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Type-check everything with mypy and pyright, and demand that the public API is typed completely."""
    tool(session, "mypy", "src", "tests", "examples", "noxfile.py", "bench")
    tool(session, "pyright", "--pythonpath", sys.executable)
    tool(session, "pyright", "--verifytypes", "c2dkit", "--ignoreexternal")  # takes the first Python on the path


@nox.session(venv_backend="none")
def layers(session: nox.Session) -> None:
    """Check that each layer imports only the layers below it."""
    tool(session, "lint-imports", "--no-cache")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run all tests with branch coverage; with arguments after ``--``, which go to pytest, in one process."""
    tool(session, "coverage", "erase")
    tool(session, "coverage", "run", "-m", "pytest", *(session.posargs or WORKERS))
    if not session.posargs:
        tool(session, "coverage", "combine", "--quiet")
        tool(session, "coverage", "report")


@nox.session
def tests_bare(session: nox.Session) -> None:
    """Build the wheel, install it without extras, and test what must work then: all but the hub and the commands."""
    wheels = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(ROOT), external=True)
    (wheel,) = wheels.glob("*.whl")
    session.install(str(wheel))
    script = ROOT / "tests" / "bare" / "check_wheel.py"
    session.run("python", "-I", str(script))
    session.install(*TEST_TOOLS)
    without = [f"--ignore=tests/unit/{name}" for name in NEEDS_HUB]
    session.run("python", "-m", "pytest", "tests/unit", *without, *(session.posargs or WORKERS))


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest versions of the dependencies that pyproject.toml allows.

    The source directory is installed, not a wheel: to uv a wheel's requirements are transitive, and ``lowest-direct``
    would leave them at their newest. Only wheels are taken, so a version without one for this Python is passed over.
    """
    oldest = ("--resolution", "lowest-direct", "--only-binary", ":all:", "--no-binary", "c2dkit")
    session.install(*oldest, "-e", f"{ROOT}[hub,cli]")
    session.install(*TEST_TOOLS)
    session.run("uv", "pip", "list", "--quiet", external=True)
    without = [f"--ignore=tests/{name}" for name in NOT_OF_DEPENDENCIES]
    session.run("python", "-m", "pytest", *without, *(session.posargs or WORKERS))


@nox.session(default=False)
def interop(session: nox.Session) -> None:
    """Test against other implementations; installs compiler, Node, servers and Chromium with apt where they are missing."""
    install_programs(session)
    session.install("-e", f"{ROOT}[all]", *TEST_TOOLS, *PYTHON_STRANGERS)
    node = Path(session.create_tmp()).resolve() / "node"
    node.mkdir(exist_ok=True)
    session.run("npm", "install", "--prefix", str(node), *NPM_QUIET, *NODE_STRANGERS, external=True)
    session.run(
        *("python", "-m", "pytest", "tests/interop", "--override-ini", "norecursedirs=.* node_modules"),
        *session.posargs,
        env={"C2DKIT_NODE_MODULES": str(node)},
    )
    certified = ("--check", "docs/certification.md")
    session.run("python", "-m", "tests.certify", *certified, env={"C2DKIT_NODE_MODULES": str(node)})
    # The legs of the contract that need the packages of this session; the others run in `tests`.
    session.run("python", "-m", "pytest", *WORKERS, "tests/contract", "-k", "azure or uamqp or Story or manifest")


def install_programs(session: nox.Session) -> None:
    """Install with apt what is not there, if this is root on a Debian; otherwise say what is missing."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=PROGRAM_PATH) is None]
    if not missing and headers_are_there():
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        session.error(f"install these Debian packages first: {' '.join([*missing, *HEADERS])}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    session.run("apt-get", "update", "-qq", env=quiet, external=True)
    apt = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
    session.run(*apt, *missing, *HEADERS, env=quiet, external=True)


def headers_are_there() -> bool:
    """Whether C code can be compiled against this Python and OpenSSL."""
    include = Path(sysconfig.get_path("include"))
    return (include / "Python.h").exists() and Path("/usr/include/openssl/ssl.h").exists()
