"""When a failed job runs again: exponential backoff with full jitter and a cap.

The ceiling doubles with each attempt (2, 4, 8, ... seconds), the delay is drawn evenly from 0 to the ceiling, so that
jobs that failed together do not return together (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

from taskq.units import Duration, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`base`: ceiling of the first delay in seconds. `cap`: the highest ceiling in seconds. Raises ConfigError."""

    base: float = 2.0
    cap: float = 600.0

    def __post_init__(self) -> None:
        for name in ("base", "cap"):  # checked here: when a job has failed nobody is there to hear of it
            object.__setattr__(self, name, seconds(getattr(self, name), f"{name} of Backoff"))

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait after attempt number `attempt` (from 1) failed; `chance` is drawn from [0, 1)."""
        doublings = min(attempt - 1, 64)
        return chance * min(self.cap, self.base * 2.0**doublings)


def make_backoff(value: Backoff | Duration | None) -> Backoff:
    """A Backoff as it is, or one with the given base. Raises ConfigError."""
    if isinstance(value, Backoff):
        return value
    return Backoff() if value is None else Backoff(base=seconds(value, "backoff"))


class Retry(BaseException):
    """Raise inside a job to have it run again: `raise Retry(delay=30)`. It counts as one of the task's retries.

    `delay` is in seconds, a `timedelta` or a string such as "10m"; None takes the task's own backoff. Not an Exception,
    so that the job's own `except Exception` does not eat it. Raises ConfigError for a delay that is none.
    """

    def __init__(self, reason: str = "", *, delay: Duration | None = None) -> None:
        super().__init__(reason)
        self.delay = None if delay is None else seconds(delay, "delay of Retry")
