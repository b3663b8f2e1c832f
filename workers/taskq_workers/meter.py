"""What the jobs of each task take: how long they run, how much CPU, and what they are seen doing.

    lanes    begin, end: each job that takes over a millisecond is timed, and one in STRIDE of those that are shorter
    probe    looks now and then at what runs (`taskq_workers.probe`), and adds what it saw
    child    report: what has come together since the last report, for Redis

Threads add to the same sums without a lock. Nothing between reading and writing one of them lets another thread in
while there is a GIL; and a job that is not counted is no loss to an average.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic, thread_time

from taskq.declaration import Declaration
from taskq.profile import QUICK, Profile
from taskq_workers.stance import Seat

STRIDE = 64
"""Timing a job takes some 2 us: in 64 jobs of the shortest kind (20 us) that is nothing."""


@dataclass(slots=True, eq=False)
class Tally:
    """The sums of one task. A timed job stands for `stride` of them, and `skip` more are not timed."""

    task: str
    lane: str
    sums: Profile = field(default_factory=Profile)
    stride: int = 1
    skip: int = 0
    reported: Profile = field(default_factory=Profile)

    def unreported(self) -> Profile | None:
        """What has come since this was asked before; None where no job has run."""
        now = replace(self.sums)
        more, self.reported = now - self.reported, now
        return more if more.jobs or more.ticks else None


LOOP = -1
"""The row of the event loop's thread, which runs all coroutines."""
MOST_SEATS = 64
_UNKNOWN = Tally("", "", skip=1 << 62)
"""For jobs whose task is not known."""


class Meter:
    """The tallies of a process. `running`: what runs, by row of the board. `seats`: threads that can be looked at."""

    def __init__(self) -> None:
        self.running: dict[int, Tally] = {}
        self.seats: dict[int, Seat] = {}
        self._marks: dict[int, tuple[int, float, float]] = {}
        self._tallies: dict[str, Tally] = {}

    def sit(self, row: int) -> None:
        """From now on this thread runs what is in slot `row`. Each seat is an open file, so there are not too many."""
        if row == LOOP or len(self.seats) < MOST_SEATS:
            with suppress(OSError):
                self.seats[row] = Seat()

    def rise(self, row: int) -> None:
        """This thread ends, and slot `row` may be another one's."""
        self.seats.pop(row, None)

    def begin(self, row: int, task: str, declaration: Declaration | None, lane: str = "") -> None:
        """A job of this task begins in slot `row`, in this thread. `lane`: in which it is, if not in its task's."""
        tally = self._tallies.get(task) or self._meet(declaration, lane)
        self.running[row] = tally
        if tally.skip:
            tally.skip -= 1
        else:
            tally.skip = tally.stride - 1
            self._marks[row] = tally.stride, monotonic(), thread_time()

    def end(self, row: int) -> None:
        """The job in slot `row` ends, in the thread in which it began."""
        tally = self.running.pop(row, None)
        if row in self._marks and tally is not None:  # a time limit can come between the two
            self._note(tally, *self._marks.pop(row))

    def drop(self, row: int) -> None:
        """Forget the job in slot `row`, which may go on running."""
        self.running.pop(row, None)
        self._marks.pop(row, None)

    def tallies(self) -> Iterator[Tally]:
        return iter(list(self._tallies.values()))

    def _meet(self, declaration: Declaration | None, lane: str) -> Tally:
        if declaration is None:
            return _UNKNOWN
        return self._tallies.setdefault(declaration.name, Tally(declaration.name, lane or declaration.pool))

    def _note(self, tally: Tally, stands_for: int, began: float, cpu: float) -> None:
        took, used = monotonic() - began, thread_time() - cpu
        sums = tally.sums
        sums.jobs += stands_for
        sums.wall += took * stands_for
        if tally.lane != "async":  # the loop's thread ran others as well
            sums.cpu += used * stands_for
        tally.stride = STRIDE if took < QUICK else 1
