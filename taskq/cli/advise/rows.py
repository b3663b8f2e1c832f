"""What is known of each task, judged: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskq.advice import Advice, advise
from taskq.profile import Nature, Profile, Stored, nature, read_stored


@dataclass(frozen=True, slots=True)
class Row:
    """One task. `rate`: jobs a second. `age`: seconds since a worker last reported it."""

    task: str
    lane: str
    rate: float
    age: float
    profile: Profile
    nature: Nature
    advice: Advice

    @property
    def is_known(self) -> bool:
        return self.nature.kind != "unknown"

    @property
    def moves(self) -> bool:
        return self.advice.lane != self.lane

    @property
    def wall(self) -> float:
        """Seconds a job."""
        return self.profile.wall / (self.profile.jobs or 1.0)

    @property
    def cpu(self) -> float:
        """Seconds a job."""
        return self.nature.python + self.nature.c

    @property
    def delay(self) -> float:
        """Seconds that others get the GIL later while it runs."""
        return self.profile.delay / (self.profile.ticks or 1.0)

    @property
    def at_once(self) -> float:
        """How many of its jobs would run at a time if none of them had to wait for another: Little's law."""
        return self.rate * self.nature.own


def rows_of(stored: Mapping[str, str], now: float) -> list[Row]:
    """A row for each task, by name; what cannot be read is left out. `now`: seconds since the epoch."""
    found = ((task, read_stored(text)) for task, text in sorted(stored.items()))
    return [_row(task, known, now) for task, known in found if known is not None]


def _row(task: str, known: Stored, now: float) -> Row:
    what = nature(known.profile, known.lane)
    return Row(
        task=task,
        lane=known.lane,
        rate=known.rate(now),
        age=max(0.0, now - known.last),
        profile=known.profile,
        nature=what,
        advice=advise(known.profile, what, known.lane),
    )
