"""How many jobs a lane may take: a job for each free slot, and a few more that wait in the process.

Those that wait hide the round trip to Redis; but a job that waits here cannot run in another process that is idle. So
the lane holds no more beyond its slots than its slots work off in 20 ms, by the time its jobs have been taking
(Little's law: waiting = slots x 20 ms / time of a job).
"""

from __future__ import annotations

AHEAD = 0.02
"""Seconds of work that may wait in the process."""
MOST_AHEAD = 1024
"""A batch that waits while another one is written: less, and the slots stand still during the round trip."""
MOST_BYTES = 4 << 20
"""The same in bytes of encoded jobs: large ones wait in Redis, where they are anyway."""
STALLED = 0.1
"""Seconds without an end of any job after which what waits is given back."""


class Budget:
    """The account of one lane. `outstanding`: jobs in the lane that have not ended. Times are in seconds."""

    def __init__(self, slots: int, most_ahead: int = MOST_AHEAD):
        self.slots = slots
        self._most_ahead = most_ahead
        self.outstanding = 0
        self._average: float | None = None
        self._size = 1.0
        self._moved = 0.0

    def room(self) -> int:
        """How many more jobs the lane may take now."""
        return max(0, self.slots + self.ahead() - self.outstanding)

    def ahead(self) -> int:
        """How many jobs may wait beyond the slots; none before it is known how long they take."""
        if self._average is None:
            return 0
        return min(
            self._most_ahead, int(self.slots * AHEAD / max(self._average, 1e-6)), int(MOST_BYTES / max(self._size, 1.0))
        )

    def took(self, jobs: int, now: float, size: int = 0) -> None:
        """`jobs` came, with encoded jobs of `size` bytes together."""
        if self.outstanding == 0:
            self._moved = now
        self._size = size / jobs
        self.outstanding += jobs

    def ended(self, jobs: int, took: float, now: float) -> None:
        """`jobs` ended, after `took` seconds of running each on average."""
        self.outstanding -= jobs
        self._moved = now
        weight = min(1.0, jobs / self.slots) / 8  # one short job among long ones must not make the lane hoard
        self._average = took if self._average is None else self._average + (took - self._average) * weight

    def withdrawn(self, jobs: int) -> None:
        """`jobs` were taken back before they started, because the slots do not get on."""
        self.outstanding -= jobs
        self._average = max(self._average or 0.0, STALLED)

    def waiting(self) -> bool:
        """Does a job wait behind others?"""
        return self.outstanding > self.slots

    def stalled(self, now: float) -> bool:
        """Has no job ended for a while, though others wait behind it?"""
        return self.waiting() and now - self._moved > STALLED
