"""What a task is: its profile, as workers measure it, and what follows from that. Pure.

A job's own time is what it would take alone on a core: the time that it waits for others to let go of the GIL, or of
the core, is none of its own. It has three parts: it waits (for a socket, a file, a lock, a clock), computes in Python
and so holds the GIL, or computes in C that has released it.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Literal

Kind = Literal["unknown", "quick", "waits", "python", "c", "mixed", "blocks"]

HALF_LIFE = 1800.0
"""Seconds after which what was measured counts half: an hour after new code came, 3 of 4 parts are of the new."""
REPORT_EVERY = 10.0
MOST_TASKS = 1000
LEAST_TICKS = 15
"""How often a task must have been seen running before anything is said of it."""
QUICK = 0.001
"""Seconds of a job so short that it is of no matter what it does."""
MAINLY, MOSTLY = 0.8, 0.7
"""Shares of its own time from which on a job waits, or computes, and does nothing else to speak of."""
HOLDS_LOOP = 0.005
"""Seconds that a job may hold its event loop in all before it hinders others."""
LONG_STEP = 0.1
"""Seconds that a coroutine may hold its event loop at a time."""
LEAST_STEPS = 10


@dataclass(slots=True)
class Profile:
    """Sums over the jobs of one task. Times are in seconds.

    `jobs` ended, after `wall`; their threads used `cpu`. At `ticks` instants some of them ran, and a thread that ran
    one was looked at `looks` times (of coroutines: that was in a step of one); of these looks it was in `waits` waiting
    for something other than the GIL, and in `free` (fractions count) computing without the GIL. `delay`: how late
    somebody got the GIL because of them, summed over all ticks. `loop`: how long coroutines held their event loop,
    `held` of it in steps longer than LONG_STEP.
    """

    jobs: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    ticks: float = 0.0
    looks: float = 0.0
    waits: float = 0.0
    free: float = 0.0
    delay: float = 0.0
    loop: float = 0.0
    held: float = 0.0

    def __sub__(self, other: Profile) -> Profile:
        return Profile(*(mine - its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def freely(self) -> float:
        """The share of its CPU time that it computes without the GIL."""
        on_cpu = self.cpu / self.wall if self.wall else 0.0
        return min(1.0, self.free / self.looks / on_cpu) if on_cpu and self.looks else 0.0

    def numbers(self) -> str:
        """As it is stored."""
        return " ".join(f"{number:.9g}" for number in astuple(self))


@dataclass(frozen=True, slots=True)
class Nature:
    """What one job is and takes. `waiting`, `python` and `c` (seconds) are the parts of its own time."""

    kind: Kind
    waiting: float = 0.0
    python: float = 0.0
    c: float = 0.0

    @property
    def own(self) -> float:
        return self.waiting + self.python + self.c

    def share(self, part: float) -> float:
        return part / self.own if self.own else 0.0


@dataclass(frozen=True, slots=True)
class Stored:
    """The profile of a task in `lane` that was begun and last added to at these times (seconds since the epoch)."""

    lane: str
    first: float
    last: float
    profile: Profile

    def rate(self, now: float) -> float:
        """Jobs a second, on the average of the last half-life or so."""
        span = (1 - _faded(now - self.first)) * HALF_LIFE / math.log(2)  # the integral of what fades
        return self.profile.jobs * _faded(now - self.last) / (span + REPORT_EVERY)


def _faded(age: float) -> float:
    """What is left of 1 after `age` seconds."""
    return math.exp(-math.log(2) * max(0.0, age) / HALF_LIFE)


def read_stored(text: str) -> Stored | None:
    """What stands in `profiles` for a task; None where it is none (whoever wrote it, or another version of taskq)."""
    lane, *numbers = text.split()[: len(fields(Profile)) + 4] or [""]
    try:
        first, last, *sums = map(float, numbers)
    except ValueError:
        return None
    if len(sums) != len(fields(Profile)) or not all(0 <= number < 1e300 for number in (first, last, *sums)):
        return None
    return Stored(lane, first / 1000, last / 1000, Profile(*sums))


def nature(profile: Profile, lane: str) -> Nature:
    """What a task in `lane` is. "unknown" where it has not been seen often enough."""
    if profile.jobs <= 0:
        return Nature("unknown")
    if profile.ticks >= LEAST_TICKS:
        return _of_coroutines(profile) if lane == "async" else _of_threads(profile)
    wall, cpu = profile.wall / profile.jobs, profile.cpu / profile.jobs
    return Nature("quick" if wall < QUICK else "unknown", max(0.0, wall - cpu), cpu)


def _of_threads(profile: Profile) -> Nature:
    wall, cpu = profile.wall / profile.jobs, profile.cpu / profile.jobs
    waiting = min(max(0.0, wall - cpu), wall * profile.waits / (profile.looks or 1.0))
    c = cpu * profile.freely()
    return _named(Nature("mixed", waiting, cpu - c, c))


def _of_coroutines(profile: Profile) -> Nature:
    """Its steps are what it holds the loop with; what it awaits is its waiting."""
    loop, wall = profile.loop / profile.jobs, profile.wall / profile.jobs
    looks = profile.looks or 1.0
    blocking, c = loop * profile.waits / looks, loop * min(1.0, profile.free / looks)
    waiting, python = max(0.0, wall - loop), max(0.0, loop - blocking - c)
    if loop < HOLDS_LOOP or profile.looks < LEAST_STEPS:
        return Nature("waits", waiting + blocking, python, c)
    if blocking > loop / 2:
        return Nature("blocks", waiting + blocking, python, c)
    return Nature("c" if c > python else "python", waiting + blocking, python, c)


def _named(parts: Nature) -> Nature:
    computing = parts.python + parts.c
    kind: Kind = "mixed"
    if parts.waiting >= MAINLY * parts.own:
        kind = "waits"
    elif computing >= MOSTLY * parts.own and max(parts.python, parts.c) >= 0.6 * computing:
        kind = "python" if parts.python > parts.c else "c"
    return Nature(kind, parts.waiting, parts.python, parts.c)
