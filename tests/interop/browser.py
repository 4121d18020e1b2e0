"""Chromium, driven through its own driver: what a person does and sees in front of a page."""

from __future__ import annotations

import base64
import hashlib
import shutil
import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from c2dkit.hub import LocalHub

T = TypeVar("T")

WAIT_SECONDS = 20
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which Chromium asks for when it runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
)


class Browser:
    """One window."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    async def call(self, function: Callable[[], T]) -> T:
        """Call into the driver without holding up the hub."""
        with anyio.fail_after(WAIT_SECONDS + 10):
            return await to_thread.run_sync(function)

    async def open(self, url: str) -> None:
        """Go to an address afresh, even where only its fragment differs."""
        await self.call(partial(self.driver.get, "about:blank"))
        await self.call(partial(self.driver.get, url))

    async def until(self, expression: str) -> Any:
        """Wait until an expression in the page is true."""
        wait = WebDriverWait(self.driver, WAIT_SECONDS, poll_frequency=0.1)
        return await self.call(
            partial(wait.until, lambda driver: driver.execute_script(f"return {expression}"), expression)
        )

    async def evaluate(self, expression: str) -> Any:
        """Return the value that an expression has in the page."""
        return await self.call(partial(self.driver.execute_script, f"return {expression}"))

    async def complaints(self) -> list[str]:
        """Return what the page has written to its console."""
        return [entry["message"] for entry in await self.call(partial(self.driver.get_log, "browser"))]


@asynccontextmanager
async def chromium(hub: LocalHub, profile: Path, *flags: str) -> AsyncGenerator[Browser]:
    """Start a browser that trusts the key of this hub, and of no other."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    trust = f"--ignore-certificate-errors-spki-list={await key_hash(hub)}"
    for flag in (*FLAGS, f"--user-data-dir={profile}", trust, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = ChromeService(program("chromedriver"))
    driver = await to_thread.run_sync(partial(Chrome, options=options, service=service))
    try:
        yield Browser(driver)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(driver.quit)


async def key_hash(hub: LocalHub) -> str:
    """Return the hash of the hub's public key, as Chromium takes it."""
    ask = partial(ssl.get_server_certificate, ("localhost", hub.port), ca_certs=str(hub.ca_file))
    certificate = x509.load_pem_x509_certificate((await to_thread.run_sync(ask)).encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def program(name: str) -> str:
    """Return where a program is."""
    path = shutil.which(name)
    assert path, f"install {name}; `nox -s interop` does"
    return path
