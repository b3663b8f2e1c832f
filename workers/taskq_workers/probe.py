"""The probe: a thread that looks, while jobs run, at what they do, and at how late it gets the GIL itself.

    sleep -> awake, late by the wait for the GIL -> hold the GIL for a moment -> who went on meanwhile? -> account

Whoever goes on while the probe holds the GIL computes without it; whoever stands still waits for the GIL, or for
something else, which the kernel knows. That tells them apart on an idle machine and beside any load: CPU time over time
alone says the same of a job that waits for a socket and of one that waits for the GIL.

It holds the GIL for a percent of the time, and for a twentieth of that once it has seen enough of the tasks
that run; where none of these computes it looks ever less often. Without jobs it waits to be woken.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol

from taskq.profile import LONG_STEP
from taskq_workers.fatal import or_die
from taskq_workers.meter import LOOP, Meter, Tally
from taskq_workers.stance import Queue, Stance, be_punctual, hold, rests

PERIOD, CALM_PERIOD, LONGEST_PERIOD = 0.01, 0.05, 0.25
"""Seconds of sleep on average: while there is something to learn, when not, and where nobody computes besides."""
REST, CALM_REST = 100, 2000
"""How much longer the probe sleeps than it held the GIL: where there is something to learn, and where not."""
MOST_REST = 0.1
"""Seconds that it sleeps at most while there is something to learn, though a busy host let it hold the GIL for long."""
FAMILIAR = 200
"""Ticks after which not much is to be learned about a task."""
SETTLE = 0.0001
"""Seconds that the probe holds the GIL while others show what they do."""
LATE = 0.0002
"""Seconds of wait from which on somebody else must have had the GIL."""
FREE = 0.15
"""Share of the hold from which on a thread went on: going to sleep for the GIL takes some of it, too."""


@dataclass(frozen=True, slots=True)
class Look:
    """One thread that runs a job. `used`: seconds of CPU since the last look, 0 where it ran another task then.

    `free`: the share of the hold during which it computed.
    """

    tally: Tally
    stance: Stance
    used: float = 0.0
    free: float = 0.0


def account(late: float, looks: Sequence[Look], present: Collection[Tally]) -> None:
    """Add what was seen in one tick, in which jobs of the tasks `present` ran and the probe was `late` (seconds)."""
    moving = [look for look in looks if look.free >= FREE]
    believed = 1.0
    if late > LATE and moving and all(look.stance != "wants" for look in looks):
        believed -= 1 / len(moving)  # somebody had the GIL: one of those who go on has just let go of it
    blame = [look.used * (1 - look.tally.sums.freely()) if look.free < FREE else 0.0 for look in looks]
    all_blame = sum(blame) or 1.0
    for tally in present:
        tally.sums.ticks += 1
    for look, its in zip(looks, blame, strict=True):
        sums = look.tally.sums
        sums.delay += late * its / all_blame
        if look.stance == "runs" and look.free < FREE:
            continue  # it stood in line for a core, on a busy host: that says nothing of the GIL
        sums.looks += 1
        if look.free >= FREE:
            sums.free += look.free * believed
        else:
            sums.waits += look.stance == "waits"


class Loop(Protocol):
    """An event loop whose thread has the seat LOOP."""

    def stepping(self) -> Tally | None: ...
    def last_turn(self) -> float: ...


class Probe:
    """Looks at the threads that have a seat in `meter`, and at the steps of coroutines in `loop`."""

    def __init__(self, meter: Meter, loop: Loop):
        self._meter, self._loop = meter, loop
        self._before: dict[int, tuple[Tally, float]] = {}
        self._pause, self._looked = PERIOD, 0.0
        self._step: tuple[Tally | None, float] = (None, 0.0)
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self.asleep = True

    def wake(self) -> None:
        """Jobs run: look at them. Not for several threads."""
        self.asleep = False
        self._bell.set()
        if self._thread is None:
            self._thread = threading.Thread(target=or_die, args=(self._run,), name="taskq-probe", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        be_punctual()
        queue, self._looked = Queue(), monotonic()
        while True:
            if not self._meter.running:
                self.asleep = True
                self._bell.wait()
                self._bell.clear()
                self._pause, self._looked = PERIOD, monotonic()
            self._tick(self._sleep(queue))

    def _sleep(self, queue: Queue) -> float:
        """The answer is how late this thread got the GIL afterwards. Never in step with jobs that sleep themselves."""
        pause, stood, began = self._pause * random.uniform(0, 2), queue.seconds(), monotonic()
        sleep(pause)
        return max(0.0, monotonic() - began - pause - (queue.seconds() - stood))

    def _tick(self, late: float) -> None:
        running, step, now, rested = self._meter.running.copy(), self._loop.stepping(), monotonic(), rests()
        if step is not None:
            running[LOOP] = step
        looks = self._look(running)
        held, kept = monotonic() - now, rests() - rested <= 1  # a busy host can make this thread lose the GIL
        present = {tally for tally in running.values() if tally.task}
        if kept:
            account(late, looks, present)
        if step is not None:
            self._note_step(step, now)
        self._looked = now
        self._pause = self._next_pause(looks, held, all(tally.sums.ticks > FAMILIAR for tally in present))

    def _next_pause(self, looks: Sequence[Look], held: float, familiar: bool) -> float:
        """Seconds of sleep after `held` seconds with the GIL."""
        if not familiar:
            return min(MOST_REST, max(REST * held, PERIOD))
        quiet = all(look.stance == "waits" and look.free < FREE for look in looks)
        return max(CALM_REST * held, min(LONGEST_PERIOD, self._pause * 1.5) if quiet else CALM_PERIOD)

    def _look(self, running: dict[int, Tally]) -> list[Look]:
        seated = [(tally, row, seat) for row, tally in running.items() if (seat := self._meter.seats.get(row))]
        before = [seat.cpu() for _, _, seat in seated]
        began = monotonic()
        hold(SETTLE)
        after = [seat.cpu() for _, _, seat in seated]
        held = monotonic() - began
        stances = [seat.stance() for _, _, seat in seated]
        looks = []
        for (tally, row, _), first, last, stance in zip(seated, before, after, stances, strict=True):
            earlier, cpu = self._before.get(row, (None, 0.0))
            used = first - cpu if tally is earlier else 0.0
            looks.append(Look(tally, stance, used, min(1.0, (last - first) / held)))
            self._before[row] = tally, last
        return looks

    def _note_step(self, tally: Tally, now: float) -> None:
        """A coroutine is in a step; so it was since the last look, on average."""
        turned, (earlier, since) = self._loop.last_turn(), self._step
        if tally is not earlier or turned > since:
            since = now
        self._step = tally, since
        elapsed = now - self._looked
        tally.sums.loop += elapsed
        if now - since >= LONG_STEP:
            tally.sums.held += elapsed
