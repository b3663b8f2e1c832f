"""A clock that moves only when told to."""

from __future__ import annotations


class FakeClock:
    """A `taskq.clock.Clock` whose two clocks move together: `advance(30)`. Going back moves `now` alone."""

    def __init__(self, now: float = 1_700_000_000.0):
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. A negative number sets the wall clock back, which no monotonic clock sees."""
        self._now += seconds
        self._monotonic += max(0.0, seconds)
