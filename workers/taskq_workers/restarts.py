"""How soon a child that died has another in its place: at once, or ever later where that does not help."""

from __future__ import annotations

from dataclasses import dataclass

PAUSE = (0.5, 10.0)
"""Seconds before a child is started again: at first, and at most."""
YOUNG = 5.0
"""Seconds after it was ready within which a child dies young."""
AT_ONCE = 5
"""Children in a row that died young and are replaced at once: by then it is not this or that job that killed them."""


@dataclass(slots=True)
class Restarts:
    """Remembers what became of the children before."""

    _next: float = PAUSE[0]
    _young: int = 0

    def pause(self) -> float:
        """Seconds until a start is tried again that came to nothing: ever more."""
        pause = self._next
        self._next = min(pause * 2, PAUSE[1])
        return pause

    def came_up(self) -> None:
        """A child is ready: that ends the waiting, unless those before it were ready too, and died."""
        if self._young <= AT_ONCE:
            self._next = PAUSE[0]

    def after(self, lived: float) -> float:
        """Seconds until a child is replaced that died when it had been ready for `lived` seconds."""
        self._young = self._young + 1 if lived < YOUNG else 0
        if self._young == 0:
            self._next = PAUSE[0]
        return self.pause() if self._young > AT_ONCE else 0.0
