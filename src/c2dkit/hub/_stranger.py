"""What a client may send before it has shown who it is: enough to do so, on every protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from c2dkit.hub._wrapped_stream import WrappedStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream

__all__ = ["StrangerStream"]

MAX_BYTES: Final = 262_144
"""As much as the largest packet of MQTT. Tokens, of which Entra ID has the largest, take a few thousand bytes; the rest
is what a client may send behind them before the hub has looked at them."""


class StrangerStream(WrappedStream):
    """A connection that ends when too much comes in before its client is known.

    What the engines keep for a stranger, in whatever form, is bounded by that.

    Args:
        stream: The connection.

    Attributes:
        is_known: Says whether the client has shown who it is.
    """

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(stream)
        self.is_known: Callable[[], bool] = lambda: False
        self._left: int | None = MAX_BYTES

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return the next bytes.

        Cancellation: as that of the connection.

        Raises:
            BrokenResourceError: More has come in than a stranger may send; the rest as the connection.
        """
        data = await super().receive(max_bytes)
        if self._left is not None:
            self._left = self._reckon(self._left - len(data))
        return data

    def _reckon(self, left: int) -> int | None:
        """Return how much more may come; None, from when the client is known, for whatever it likes."""
        if self.is_known():
            return None
        if left < 0:
            raise anyio.BrokenResourceError(f"more than {MAX_BYTES} bytes came from a client that is not known")
        return left
