"""Has the packages that trust only what certifi names trust the hub as well."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import certifi

__all__ = ["trust_hub"]


def trust_hub() -> str:
    """Add the hub's authority to a copy of certifi's bundle, which certifi and requests name from now on.

    To be called before the package that reads it is imported.
    """
    folder = Path(tempfile.mkdtemp(prefix="certify-"))
    bundle = folder / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + Path(os.environ["CERTIFY_CA_FILE"]).read_bytes())
    certifi.where = lambda: str(bundle)
    os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
    return str(bundle)
