"""What a child has measured, on its way to Redis; and a word to its supervisor where a task is in the wrong lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskq.advice import advise
from taskq.broker import calls
from taskq.broker.call import Call
from taskq.clock import Clock
from taskq.profile import HALF_LIFE, MOST_TASKS, REPORT_EVERY, nature
from taskq_workers.channel import Message
from taskq_workers.meter import Meter, Tally


class Reporter:
    """Says at most once of each task that it is in the wrong lane, by `hint`."""

    def __init__(self, meter: Meter, clock: Clock, hint: Callable[[Message], object]):
        self._meter, self._clock, self._hint = meter, clock, hint
        self._reported = clock.monotonic()
        self._hinted: set[str] = set()

    def due(self) -> list[Call[Any]]:
        """The report, where the last one was REPORT_EVERY ago and something has run since."""
        return self.rest() if self._clock.monotonic() - self._reported >= REPORT_EVERY else []

    def rest(self) -> list[Call[Any]]:
        """The report now."""
        self._reported = self._clock.monotonic()
        tallies = list(self._meter.tallies())
        for tally in tallies:
            self._judge(tally)
        more = [(tally.task, tally.lane, sums.numbers()) for tally in tallies if (sums := tally.unreported())]
        return [calls.profile(HALF_LIFE, MOST_TASKS, more)] if more else []

    def _judge(self, tally: Tally) -> None:
        if tally.task in self._hinted or tally.lane == "cpu":
            return
        what = nature(tally.sums, tally.lane)
        advice = advise(tally.sums, what, tally.lane)
        if advice.lane != tally.lane:
            self._hinted.add(tally.task)
            self._hint({"task": tally.task, "why": advice.why, "hint": f'pool="{advice.lane}"'})
