"""Recycling: a child that has run its share of jobs, or grown too large, gives its place to a successor.

    spent    it says so itself (--max-jobs), or was too large at a heartbeat (--max-rss); it goes on working
    begun    its successor starts; one recycling at a time, so that memory doubles for one child at most
    told     the successor is up: the old child takes no more work, and ends with its last job
    over     it has ended

No job is interrupted, and there are never fewer children that take work than were asked for. A successor that does not
come up leaves the old child at work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from taskq.config import WorkerSettings
from taskq.units import brief, brief_size
from taskq_workers.crew import Child, Crew

SOON = 60.0
"""Seconds within which a place is not recycled for its size twice: what its processes need is more than the limit."""


@dataclass(slots=True)
class Recycling:
    """Who is to be recycled, and the one that is being recycled. Its times are monotonic."""

    settings: WorkerSettings
    crew: Crew
    log: Any
    _spent: dict[Child, str] = field(default_factory=dict)
    _old: Child | None = None
    _successor: Child | None = None
    _why: str = ""
    _began: float = 0.0
    _not_before: float = 0.0
    _outgrown: dict[int, float] = field(default_factory=dict)
    _advised: set[str] = field(default_factory=set)

    def spend(self, child: Child, why: str) -> None:
        """Have `child` replaced when its turn comes."""
        if self._may_go(child):
            self._spent.setdefault(child, why)

    def weigh(self, child: Child, now: float) -> None:
        """Have `child` replaced if it is too large, and a successor would be smaller."""
        limit = self.settings.max_rss
        if not limit or child in self._spent or child is self._old or not self._may_go(child):
            return
        size = child.process.rss() or 0
        if size < limit:
            return
        why = f"it takes {brief_size(size)} of memory"
        if child.size_at_start >= limit:
            self._advise("size at start", child, f"{why}, as much as --max-rss, as soon as its app is loaded")
        elif now < self._outgrown.get(child.berth.number, -SOON) + SOON:
            self._advise("grows fast", child, f"{why}, though it replaced one that did, within {SOON:g} s")
        else:
            self._spent[child] = f"{why}, --max-rss is {brief_size(limit)}"
            self._outgrown[child.berth.number] = now

    def due(self) -> float:
        """When `begin` has something to do."""
        return self._not_before if self._spent and self._old is None else float("inf")

    def begin(self, now: float) -> None:
        """Start the successor of the child whose turn it is. After an OSError, which starting may raise: `retry`."""
        if now < self.due():
            return
        self._spent = {child: why for child, why in self._spent.items() if self._may_go(child)}
        old = next(iter(self._spent), None)
        if old is None:  # it has retired meanwhile, and has a successor
            return
        self._old, self._why, self._began = old, self._spent.pop(old), now
        self._successor = self.crew.start(old.berth.number)
        self.log.info("recycling", worker=old.berth.epoch, successor=self._successor.berth.epoch, why=self._why)

    def welcome(self, child: Child) -> None:
        """`child` is up: if it is the successor, the old one stops taking work."""
        child.size_at_start = child.process.rss() or 0 if self.settings.max_rss else 0
        if child is self._successor and self._old is not None:
            self._successor = None
            self._old.stop()

    def awaits(self, child: Child) -> bool:
        """Is `child` a successor that still starts, with the old child at work?"""
        return child is self._successor and self._old is not None and not self._old.leaving

    def has_successor(self, child: Child) -> bool:
        """Does a successor of `child` start already?"""
        return child is self._old and self._successor is not None

    def retry(self, at: float) -> None:
        """The successor did not come up: the old child stays at work, and another one is started then."""
        if self._old is not None:
            self._spent = {self._old: self._why} | self._spent
        self._old, self._successor, self._not_before = None, None, at

    def ended(self, child: Child, now: float) -> None:
        """`child` has ended, by itself or not."""
        self._spent.pop(child, None)
        if child is self._successor:
            self._successor = None
        if child is self._old:
            if child.leaving:
                self.log.info("recycled", worker=child.berth.epoch, took=brief(now - self._began))
            self._old = self._successor = None

    def _may_go(self, child: Child) -> bool:
        """Not a solo child: it ends when it has had nothing to do for a while."""
        return child.ready and not child.leaving and not child.berth.solo

    def _advise(self, what: str, child: Child, why: str) -> None:
        if what not in self._advised:
            self._advised.add(what)
            hint = "recycling does not help: raise --max-rss, or see what takes the memory"
            self.log.warning("not recycled", worker=child.berth.epoch, why=why, hint=hint)
