"""What helps to test with c2dkit; ``c2dkit.testing.contract`` is the suite that every transport passes."""

from __future__ import annotations

__all__: list[str] = []
