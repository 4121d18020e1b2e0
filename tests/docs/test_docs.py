"""Runs every Python block of the README and the docs; see ``runner``.

The blocks of three pages need packages of other people: here they are compiled only, and ``tests/interop`` runs them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from c2dkit.hub import HubOptions, LocalHub
from tests.docs.runner import FOREIGN, PAGES, blocks_of, issuer, run_page

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = HubOptions(feedback_interval=timedelta(0))


def new_hub() -> LocalHub:
    return LocalHub(devices=["dev-1", "dev-2"], options=AT_ONCE, issuers=[issuer()])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_page(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def trust(hub: LocalHub) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(hub.ca_file))

    await run_page(page, new_hub, tmp_path, trust)


@pytest.mark.parametrize("page", FOREIGN, ids=lambda page: page.name)
def test_page_of_a_foreign_transport_compiles(page: Path) -> None:
    blocks = list(blocks_of(page))
    assert blocks
    for block in blocks:
        block.compile()
