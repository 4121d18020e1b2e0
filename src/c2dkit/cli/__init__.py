"""The command ``c2dkit``. Needs the extras ``cli`` and ``hub``: ``pip install 'c2dkit[cli,hub]'``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; what it needs is imported only now, so that its absence can be told in one line."""
    try:
        from c2dkit.cli._app import app  # noqa: PLC0415 - see above
    except ImportError as error:
        if error.name not in {"typer", "rich", "trustme", "cryptography"}:
            raise
        sys.stderr.write(f"the c2dkit command needs {error.name}: pip install 'c2dkit[cli,hub]'\n")
        sys.exit(1)
    app()
