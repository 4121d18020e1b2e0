"""The idle time-outs of both ends (AMQP 1.0 part 2, 2.4.5)."""

from __future__ import annotations

__all__ = ["IdleTimer"]


class IdleTimer:
    """Knows when the peer has been silent for too long and when it must hear from us. It has no clock of its own.

    Args:
        timeout: Seconds of silence that are too long, or None for no limit.
    """

    __slots__ = ("_heard_at", "_spoke_at", "heard", "interval", "spoke", "timeout")

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.interval: float | None = None
        """Seconds in which we must have sent something; None if the peer does not mind."""
        self.heard = False
        """Set when bytes came."""
        self.spoke = False
        """Set when bytes left."""
        self._heard_at: float | None = None
        self._spoke_at: float | None = None

    def note(self, now: float) -> None:
        """Take what happened since the last call as happened now."""
        if self.heard or self._heard_at is None:
            self._heard_at = now
        if self.spoke or self._spoke_at is None:
            self._spoke_at = now
        self.heard = self.spoke = False

    def silence_ends(self) -> float | None:
        """Return when the peer must have been heard of."""
        return None if self.timeout is None or self._heard_at is None else self._heard_at + self.timeout

    def frame_due(self) -> float | None:
        """Return when the peer must hear of us."""
        return None if self.interval is None or self._spoke_at is None else self._spoke_at + self.interval

    def spoken(self, now: float) -> float | None:
        """Take it that a frame leaves now; returns when the next one is due."""
        self._spoke_at = now
        return self.frame_due()
