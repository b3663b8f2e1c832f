"""How long to wait before the next try, where Redis does not answer."""

from __future__ import annotations


class Reconnect:
    """From 20 ms, doubling up to `longest` seconds, with jitter."""

    FIRST, LONGEST = 0.02, 2.0

    def __init__(self, longest: float = LONGEST) -> None:
        self._ceiling, self._longest = self.FIRST, longest

    @property
    def failing(self) -> bool:
        """Did the last try fail?"""
        return self._ceiling > self.FIRST

    def failed(self, chance: float) -> float:
        """Seconds to wait; `chance` is drawn from [0, 1)."""
        wait = self._ceiling * (0.5 + chance / 2)
        self._ceiling = min(self._ceiling * 2, self._longest)
        return wait

    def succeeded(self) -> None:
        self._ceiling = self.FIRST
