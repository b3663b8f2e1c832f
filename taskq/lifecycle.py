"""What becomes of a job, as one pure function: decide(policy, attempt, outcome, chance) -> Step.

                                   enqueue
                                      |
            delay or eta              v                     no worker knows the task
          +--------- delayed ----> queued <---- parked <----------+
          |             ^             |  ^         |              |
          |             |       claim |  | give    | 10 minutes   |
          |        Delay|             v  | back    v              |
          |             +---------- running ---- Bury --> dead    |
          |                           |  |                 |      |
          |                    Finish |  +-- Park ---------|------+
          |  cancel                   v                    | revive
          +----> cancelled <--     done                    +----> queued

A worker that dies gives its jobs back without a decision; those that had started count a loss (see `reap.lua`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from taskq.codec import ErrorInfo
from taskq.retry import Backoff

PATIENCE = 600.0
"""Seconds that a job waits for a worker that knows its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a task says about its failures. `retries` counts re-tries: 3 are 4 attempts."""

    retries: int
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task returned; `record` is its encoded outcome."""

    record: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised, ran out of time, or its result cannot be stored. `final` where running it again is no use."""

    error: ErrorInfo
    final: bool = False


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """The task raised Retry. `delay` is in seconds, None for the task's backoff."""

    error: ErrorInfo
    delay: float | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """This worker does not know the task, or a type among its arguments: then `why` says which."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The body cannot be decoded."""

    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class Finish:
    record: bytes


@dataclass(frozen=True, slots=True)
class Delay:
    """Run again in `seconds`."""

    seconds: float
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class Bury:
    error: ErrorInfo


@dataclass(frozen=True, slots=True)
class Park:
    """Leave it to others for `seconds`. `why`: what is not known here, if not the task."""

    seconds: float
    why: str = ""


Outcome = Succeeded | Failed | RetryAsked | Unknown | Malformed
Step = Finish | Delay | Bury | Park


def decide(policy: Policy, attempt: int, outcome: Outcome, chance: float) -> Step:
    """The step that follows from `outcome` of attempt number `attempt` (from 1). `chance` is drawn from [0, 1)."""
    match outcome:
        case Succeeded(record):
            return Finish(record)
        case Failed(error, final):
            last = final or attempt > policy.retries
            return Bury(error) if last else Delay(policy.backoff.delay(attempt, chance), error)
        case RetryAsked(error, delay):
            if attempt > policy.retries:
                return Bury(error)
            return Delay(policy.backoff.delay(attempt, chance) if delay is None else delay, error)
        case Unknown(why):
            return Park(PATIENCE, why)
        case Malformed(error):
            return Bury(error)
        case _:
            assert_never(outcome)
