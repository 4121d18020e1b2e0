"""The status page in a real browser."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.keys import Keys

from c2dkit import CloudSender, DeviceReceiver
from c2dkit._models import Message
from c2dkit.hub import LocalHub

from .browser import Browser, chromium

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

COUNT_TURNS = "turns = 0; const wait = setTimeout; setTimeout = (...given) => { turns += 1; return wait(...given); }"
NONE = "\N{EN DASH}"
MARKUP = '<img src=x onerror="document.title=1">'


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    async with LocalHub(devices=["dev-1", "dev-2"]) as hub:
        yield hub


@asynccontextmanager
async def page(hub: LocalHub, profile: Path) -> AsyncGenerator[Browser]:
    """The status page, opened as the hub says; whatever the test does, it complains of nothing."""
    async with chromium(hub, profile) as browser:
        await browser.open(hub.status_url)
        await browser.until(f"{rows('devices')}.length === 2")
        yield browser
        assert await browser.complaints() == []


def rows(table: str) -> str:
    """The texts of a table's cells, row by row, as an expression."""
    return (
        f"[...document.querySelectorAll('#{table} > *')]"
        ".map(row => [...row.children].map(cell => cell.textContent).join('|'))"
    )


def has(table: str, text: str) -> str:
    return f"{rows(table)}.some(row => row.includes({text!r}))"


async def test_it_shows_a_message_its_lock_and_its_end_as_they_come(hub: LocalHub, tmp_path: Path) -> None:
    trust = hub.ssl_context()
    device = hub.device_connection_string("dev-1")
    async with page(hub, tmp_path) as browser:
        assert await browser.evaluate(rows("devices")) == [f"dev-1|yes|{NONE}|0|0|Copy", f"dev-2|yes|{NONE}|0|0|Copy"]
        assert await browser.evaluate("document.querySelector('#messages').closest('table').hidden")
        async with CloudSender.from_connection_string(hub.service_connection_string, ssl_context=trust) as sender:
            await sender.send("dev-1", "hello", message_id="reboot-1", expires_in=timedelta(minutes=9))
            await browser.until(has("messages", f"dev-1|1|reboot-1|waiting|{NONE}|0|5|8 min"))
            await browser.until(has("connections", "service|AMQP|127.0.0.1:"))
            async with DeviceReceiver.from_connection_string(device, ssl_context=trust) as receiver:
                message = await anext(receiver)
                await browser.until(has("messages", "|reboot-1|locked|"))
                await browser.until(has("devices", "dev-1|yes|AMQP|1|1|"))
                hub.clock.advance(timedelta(seconds=50))
                await browser.until(f"{rows('messages')}.some(row => /locked\\|\\d s\\|0/.test(row))")
                await message.complete()
                await browser.until(f"{rows('messages')}.length === 0")
                await browser.until(has("events", "|dev-1|completed|#1 'reboot-1'"))
        await browser.until(has("devices", f"dev-1|yes|{NONE}|0|0|"))
        hub.disable_device("dev-1")
        await browser.until(has("devices", "dev-1|disabled|"))


async def test_the_copy_button_copies_the_connection_string(hub: LocalHub, tmp_path: Path) -> None:
    async with page(hub, tmp_path) as browser:
        for css, string in (
            ("#devices button", hub.device_connection_string("dev-1")),
            ("#service", hub.service_connection_string),
            ("#iothubowner", hub.owner_connection_string),
        ):
            button = await browser.call(partial(browser.driver.find_element, "css selector", css))
            await browser.call(button.click)
            await browser.until("document.querySelector('#copied').textContent === 'Copied'")
            assert await pasted(browser) == string
            await browser.until("document.querySelector('#copied').textContent === ''")


async def pasted(browser: Browser) -> str:
    """Return what is in the clipboard, as somebody has it who pastes it into a field."""
    await browser.evaluate("document.body.append(Object.assign(document.createElement('input'), {id: 'field'}))")
    field = await browser.call(partial(browser.driver.find_element, "id", "field"))
    await browser.call(partial(field.send_keys, Keys.CONTROL, "v"))
    text = str(await browser.evaluate("document.querySelector('#field').value"))
    await browser.evaluate("document.querySelector('#field').remove()")
    return text


async def test_without_the_key_there_are_no_data(hub: LocalHub, tmp_path: Path) -> None:
    bare, _, key = hub.status_url.partition("#")
    async with chromium(hub, tmp_path) as browser:
        for url in (bare, f"{bare}#{key[:-1]}"):
            await browser.open(url)
            await browser.until("!document.querySelector('#locked').hidden")
            assert await browser.evaluate("document.querySelector('#data').hidden")
            assert await browser.evaluate(rows("devices")) == []
            assert "hub.status_url" in await browser.evaluate("document.body.innerText")


async def test_ids_with_markup_are_text(hub: LocalHub, tmp_path: Path) -> None:
    # An id from AMQP may be anything.
    hub._state.send(Message(b"", message_id=MARKUP, to="/devices/dev-1/messages/devicebound"))
    async with page(hub, tmp_path) as browser:
        await browser.until(has("messages", MARKUP))
        await browser.until(has("events", MARKUP))
        assert await browser.evaluate("document.images.length") == 0
        assert await browser.evaluate("document.title") == "c2dkit hub"


async def test_it_says_when_the_hub_is_gone(hub: LocalHub, tmp_path: Path) -> None:
    async with chromium(hub, tmp_path) as browser:
        await browser.open(hub.status_url)
        await browser.until(f"{rows('devices')}.length === 2")
        await hub.__aexit__(None, None, None)
        await browser.until("document.querySelector('#notice').textContent.includes('does not answer')")
        assert await browser.evaluate(f"{rows('devices')}.length") == 2


async def test_pause_holds_the_page_still(hub: LocalHub, tmp_path: Path) -> None:
    async with page(hub, tmp_path) as browser:
        button = await browser.call(partial(browser.driver.find_element, "id", "pause"))
        await browser.call(button.click)
        await browser.until("document.querySelector('#pause').getAttribute('aria-pressed') === 'true'")
        hub.add_device("dev-3")
        await browser.call(partial(browser.driver.execute_script, COUNT_TURNS))
        await browser.until("turns >= 3")
        assert not await browser.evaluate(has("devices", "dev-3"))
        await browser.call(button.click)
        await browser.until(has("devices", "dev-3"))


@pytest.mark.parametrize("width", [1280, 390])
async def test_it_can_be_used_without_seeing_it_or_with_keys_alone(hub: LocalHub, tmp_path: Path, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    async with page(hub, tmp_path) as browser:
        driver = browser.driver
        await browser.call(partial(driver.execute_cdp_cmd, "Emulation.setDeviceMetricsOverride", size))
        assert await browser.evaluate("document.documentElement.lang") == "en"
        assert await browser.evaluate("document.documentElement.scrollWidth") <= width
        headings = await browser.evaluate("[...document.querySelectorAll('h1, h2')].map(each => each.tagName)")
        assert headings[0] == "H1"
        assert set(headings[1:]) == {"H2"}
        nameless = "[...document.querySelectorAll('button')].filter(each => !(each.ariaLabel ?? each.innerText).trim())"
        assert await browser.evaluate(f"{nameless}.length") == 0
        regions = "[...document.querySelectorAll('[aria-labelledby]')]"
        named = ".every(each => document.getElementById(each.getAttribute('aria-labelledby')).textContent)"
        assert await browser.evaluate(f"{regions}{named}")
        assert await browser.evaluate("[...document.querySelectorAll('th')].every(each => each.scope)")
        tree = await browser.call(partial(driver.execute_cdp_cmd, "Accessibility.getFullAXTree", {}))
        roles = [node["role"]["value"] for node in tree["nodes"] if not node["ignored"]]
        assert roles.count("rowheader") == 2
        assert roles.count("button") == 5
        reached = await names_reached_by_tab(browser)
        assert "Copy the connection string of dev-2" in reached
        assert "Pause" in reached


async def names_reached_by_tab(browser: Browser) -> list[str]:
    names: list[str] = []
    for _ in range(20):
        await browser.call(lambda: browser.driver.switch_to.active_element.send_keys(Keys.TAB))
        names.append(
            str(await browser.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
        )
    return names
