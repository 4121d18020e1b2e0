"""What every test may use. Async tests run on asyncio, the one event loop that c2dkit supports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from c2dkit.hub import LocalHub


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    """A hub on an ephemeral port with the devices dev-1 and dev-2, which sends feedback at once."""
    from c2dkit.hub import HubOptions, LocalHub  # noqa: PLC0415 - tests of the engines need no hub

    async with LocalHub(devices=["dev-1", "dev-2"], options=HubOptions(feedback_interval=timedelta(0))) as hub:
        yield hub
