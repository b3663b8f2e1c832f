"""Where a task should run, by what it is, and why. Pure."""

from __future__ import annotations

from typing import NamedTuple

from taskq.profile import LEAST_TICKS, QUICK, Kind, Nature, Profile
from taskq.units import brief

HOLDS = 0.005
"""Seconds of Python that a job may compute anywhere: the interpreter lets others in after that time at the latest."""
WORDS: dict[Kind, str] = {
    "unknown": "too little data",
    "quick": "quick",
    "waits": "waits",
    "python": "computes in Python",
    "c": "computes in C without the GIL",
    "mixed": "mixed",
    "blocks": "blocks the event loop",
}


class Advice(NamedTuple):
    """The lane that a task should be in, and why, in words."""

    lane: str
    why: str


def advise(profile: Profile, nature: Nature, lane: str) -> Advice:
    """What to do with a task that is in `lane` now."""
    match nature.kind:
        case "unknown":
            return Advice(lane, f"seen running {profile.ticks:.0f} times, {LEAST_TICKS} are needed")
        case "quick":
            return Advice(lane, f"a job takes less than {brief(QUICK)}: no lane is better than another")
        case "blocks":
            return Advice("io", f"each job holds the loop for {_loop(profile)} without awaiting: make it a plain def")
        case "waits":
            return _waits(nature, lane)
    if lane == "async":
        return Advice("cpu", f"each job holds the loop for {_loop(profile)}: make it a plain def")
    return _computes(profile, nature, lane)


def _waits(nature: Nature, lane: str) -> Advice:
    share = f"waits {nature.share(nature.waiting):.0%} of its time"
    if lane == "cpu":
        return Advice("io", f"{share}, and nothing else runs in its lane meanwhile")
    return Advice(lane, f"{share}, and lets others run meanwhile")


def _computes(profile: Profile, nature: Nature, lane: str) -> Advice:
    delay = profile.delay / (profile.ticks or 1.0)
    holds = f"holds the GIL {nature.share(nature.python):.0%} of its time"
    if nature.python < HOLDS and nature.kind != "c":
        return Advice(lane, f"{holds}, but not for long: {_ms(nature.python)} a job")
    if nature.kind == "python":
        return Advice("cpu", f"{holds}: others get it {_ms(delay)} late")
    if nature.kind == "c" or nature.share(nature.python) < 0.2:
        return Advice(lane, f"{holds}: threads beside it run")
    split = ", and it waits as well: two tasks would be better" if nature.waiting > nature.c else ""
    return Advice("cpu", f"{holds}: others get it {_ms(delay)} late{split}")


def _loop(profile: Profile) -> str:
    return _ms(profile.loop / (profile.jobs or 1.0))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms" if seconds < 0.01 else brief(seconds)
