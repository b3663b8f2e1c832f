"""Children that start: each has a while to come up. One that hangs shows where, and is killed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from taskq.units import brief
from taskq_workers.crew import Child

TO_SHOW = 1.0
"""Seconds that a child gets to write its stacks before it is killed."""


@dataclass(slots=True)
class Boots:
    """When the children that start have to be up (monotonic). `limit`: seconds that each has."""

    limit: float
    log: Any
    _until: dict[Child, float] = field(default_factory=dict)
    _shown: set[Child] = field(default_factory=set)

    def due(self) -> float:
        """When `tend` has something to do."""
        return min(self._until.values(), default=float("inf"))

    def tend(self, children: Iterable[Child], now: float) -> None:
        """End those that take too long. To be called whenever there may be a new child."""
        starting = [child for child in children if not child.ready and not child.leaving]
        self._until = {child: self._until.get(child, now + self.limit) for child in starting}
        self._shown.intersection_update(starting)
        for child in [child for child in starting if now >= self._until[child]]:
            self._end(child, now)

    def _end(self, child: Child, now: float) -> None:
        if child in self._shown:
            self._until[child] = float("inf")
            child.kill(b"")
            return
        why = (
            f"it was not up after {brief(self.limit)} (--boot-timeout): its app or a lifespan hangs, as its stacks show"
        )
        self.log.error("killed", worker=child.berth.epoch, why=why)
        self._shown.add(child)
        self._until[child] = now + TO_SHOW
        child.dump()
