"""The supervisor: one on each host, one thread, no user code in it, so that no job can stall it.

    1. keeps as many children as were asked for, and starts some more while there are jobs that must run alone;
       replaces those that have run their share or grown too large (recycling.py)
    2. holds their leases: one heartbeat for all of them, five in a lease
    3. sees a child die and gives its jobs back at once; gives back those of hosts whose lease ran out
    4. puts delayed jobs in line when they are due
    5. owns the signals: finish what runs, give the rest back, go

`step` is one round: it waits for a file (a signal, a child's word or end, a reply of Redis) or for what is due.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from taskq import exit_codes
from taskq.broker import calls
from taskq.broker.records import Beat, Reaped
from taskq.clock import Clock
from taskq.config import WorkerSettings
from taskq.errors import TaskqError
from taskq.units import brief
from taskq_workers.bell import Bell
from taskq_workers.board import Tally
from taskq_workers.boots import Boots
from taskq_workers.channel import Message
from taskq_workers.courier import Courier
from taskq_workers.crew import Child, Crew
from taskq_workers.obituaries import LOST, UNKNOWN
from taskq_workers.recycling import Recycling
from taskq_workers.restarts import Restarts
from taskq_workers.waiting import readable

FOREVER = float("inf")
BURST_LOOK = 0.05
"""Seconds between looks whether a burst is over."""
LAST_WORDS = 5.0
"""Seconds that the last calls get when all children have ended."""
GIL_GRACE = 2.0
"""Seconds beyond its hard limit after which a job must be holding the GIL, as its process did not abandon it."""


@dataclass(slots=True)
class Times:
    """When things are due (monotonic)."""

    beat: float = FOREVER
    promote: float = FOREVER
    burst: float = FOREVER
    grace: float = FOREVER
    end: float = FOREVER
    restart: dict[int, float] = field(default_factory=dict)

    def next(self) -> float:
        return min(self.beat, self.promote, self.burst, self.grace, self.end, *self.restart.values())


@dataclass(frozen=True, slots=True)
class Lines:
    """The supervisor's lines to Redis. `limits`: how many jobs of a task may run at a time, by its name."""

    courier: Courier
    bell: Bell
    limits: Mapping[str, int] = field(default_factory=dict)


class Supervisor:
    """`greet` says what this worker is and makes its lines to Redis, from what the first child says of its app."""

    def __init__(
        self,
        settings: WorkerSettings,
        crew: Crew,
        signals: Any,
        clock: Clock,
        log: Any,
        greet: Callable[[Message], Lines],
    ):
        self._settings, self._crew, self._signals, self._clock, self._log = settings, crew, signals, clock, log
        self._greet = greet
        crew.private = self._files
        self._lines: Lines | None = None
        self._times = Times()
        self._recycling = Recycling(settings, crew, log)
        self._boots = Boots(settings.boot_timeout, log)
        self._code: int | None = None
        self._began = clock.monotonic()
        self._restarts = Restarts()
        self._all_up = False
        self._hinted: set[str] = set()
        self._asked: set[str] = set()
        self._tally = Tally()

    def run(self) -> int:
        """Until the end; the answer is the exit code."""
        try:
            for number in range(self._settings.procs):
                self._crew.start(number)
        except OSError as error:
            self._log.error("cannot start", worker="supervisor", error=f"cannot start a process: {error}")
            self._stop(exit_codes.FAILED)
        while not self._over():
            self.step()
        if self._lines is not None:
            self._log.info("stopped", **asdict(self._tally))
        return exit_codes.OK if self._code is None else self._code

    def step(self) -> None:
        """One round."""
        watched = dict(self._watched())
        for file in readable(list(watched), self._until()):
            watched[file]()
        self._tend()

    def refused(self, error: TaskqError) -> None:
        """At its start, Redis does not let this worker hold leases: it would never have any."""
        if not self._stopping:
            self._log.error("cannot start", worker="supervisor", error=str(error))
            self._stop(exit_codes.FAILED)

    @property
    def _stopping(self) -> bool:
        return self._code is not None

    def _over(self) -> bool:
        if not self._stopping or self._crew.children:
            return False
        if self._times.end == FOREVER:
            self._times.end = self._clock.monotonic() + LAST_WORDS
        return self._lines is None or not self._lines.courier.busy or self._clock.monotonic() >= self._times.end

    # What it waits for

    def _watched(self) -> Iterator[tuple[Any, Callable[[], object]]]:
        yield self._signals, self._heed
        for child in self._crew.children:
            if not child.mute:
                yield child.channel, partial(self._hear, child)
            yield child.process, partial(self._ended, child)
        if self._lines is not None:
            if self._lines.courier.waiting:
                yield self._lines.courier, self._lines.courier.read
            if self._lines.bell.waiting:
                yield self._lines.bell, self._answer

    def _until(self) -> float:
        due = self._times.next() if self._stopping else min(self._times.next(), self._recycling.due())
        if self._lines is not None:
            due = min(due, self._lines.courier.due() or FOREVER)
            due = due if self._stopping else min(due, self._lines.bell.due())
        return min(60.0, due - self._clock.monotonic(), self._boots.due() - self._clock.monotonic())

    def _tend(self) -> None:
        """Do what is due."""
        now, times = self._clock.monotonic(), self._times
        for number in [number for number, at in times.restart.items() if now >= at]:
            del times.restart[number]
            self._start(number)
        if now >= times.grace:
            self._give_up()
        if self._lines is not None:
            self._tend_lines(now, self._lines)
        if not self._stopping:
            self._recycle(now)
        self._boots.tend(self._crew.children, now)

    def _tend_lines(self, now: float, lines: Lines) -> None:
        if now >= self._times.beat:
            self._beat(now)
        if now >= self._times.promote:
            self._times.promote = FOREVER
            self._ask("promote", calls.promote(UNKNOWN), self._promoted)
        if now >= self._times.burst:
            self._times.burst = now + BURST_LOOK
            self._ask("pending", calls.pending(self._settings.names), self._looked)
        lines.courier.go()
        if not self._stopping:
            solos = sum(child.berth.solo for child in self._crew.children)
            waits = self._settings.procs in self._times.restart
            lines.bell.listen(solo=solos < self._settings.procs and not waits)

    def _ask(self, what: str, call: Any, then: Callable[[Any], object]) -> None:
        """Post a call, unless the same is under way already (Redis may be away for long)."""
        if self._lines is None or what in self._asked:
            return
        self._asked.add(what)

        def answered(value: Any) -> None:
            self._asked.discard(what)
            then(value)

        self._lines.courier.post(call, answered)

    def _files(self) -> list[int]:
        """The file numbers of the connections to Redis."""
        return [] if self._lines is None else [*self._lines.courier.files(), *self._lines.bell.files()]

    # Children

    def _start(self, number: int) -> None:
        """Start a child, or try again later where the host has no room for one: those that run must not suffer.

        The number behind the last is that of children for jobs that must run alone.
        """
        try:
            self._crew.start(number, solo=number == self._settings.procs)
        except OSError as error:
            self._times.restart[number] = self._clock.monotonic() + self._cannot_start(error)

    def _recycle(self, now: float) -> None:
        try:
            self._recycling.begin(now)
        except OSError as error:
            self._recycling.retry(now + self._cannot_start(error))

    def _cannot_start(self, error: OSError) -> float:
        """Seconds until it is tried again."""
        pause = self._restarts.pause()
        self._log.warning("cannot start a process", worker="supervisor", why=str(error), again_in=brief(pause))
        return pause

    def _hear(self, child: Child) -> None:
        for message in child.hear():
            if "ready" in message:
                self._welcome(child, message["ready"])
            elif "hint" in message:
                self._pass_on(message["hint"])
            elif "spent" in message:
                self._recycling.spend(child, message["spent"])
            elif "retiring" in message:
                self._replace(child, message["retiring"])
            elif "hung" in message:
                self._log.error("killed", worker=child.berth.epoch, why=f"its event loop hangs: {message['hung']}")
                child.kill(b"")
            elif "error" in message:
                self._boot_failed(child, message["error"], message["code"])

    def _pass_on(self, hint: Message) -> None:
        """Log what a child advises about a task, the first time that one does."""
        if hint["task"] not in self._hinted:
            self._hinted.add(hint["task"])
            self._log.warning("advice", **hint)

    def _welcome(self, child: Child, introduction: Message) -> None:
        child.ready, child.ready_since = True, self._clock.monotonic()
        self._restarts.came_up()
        if self._lines is None:
            self._lines = self._greet(introduction)
            self._times.promote = self._clock.monotonic()
        self._times.beat = self._clock.monotonic()
        self._recycling.welcome(child)
        at_work = sum(child.ready and not child.leaving for child in self._crew.children)
        if not self._all_up and at_work >= self._settings.procs:
            self._all_up = True
            procs, took = self._settings.procs, brief(self._clock.monotonic() - self._began)
            self._log.info("ready", note=f"{procs}/{procs} processes up in {took}: Ctrl-C to stop, twice to force")
            if self._settings.burst:
                self._times.burst = self._clock.monotonic()

    def _replace(self, child: Child, why: str) -> None:
        """The child takes no more work and ends when its other jobs have: a successor starts now."""
        replaced = child.leaving or self._recycling.has_successor(child)
        child.leaving = True
        self._log.warning("retiring", worker=child.berth.epoch, why=why)
        if not self._stopping and not child.berth.solo and not replaced:
            self._start(child.berth.number)

    def _boot_failed(self, child: Child, text: str, code: int) -> None:
        """What stops the worker is told once, though every child may fail of it."""
        if self._stopping:
            return
        self._log.error("cannot start", worker=child.berth.epoch, error=text)
        if self._recycling.awaits(child):
            return
        if code == exit_codes.BAD_APP or not self._all_up:
            self._stop(code)

    def _ended(self, child: Child) -> None:
        self._crew.children.remove(child)
        self._tally += child.board.tally()
        running, started, code = len(child.board.started()) // 16, child.losses(), child.bury()
        self._reap(child.berth.epoch, started, certain=child.blamed is not None)  # even of one that was not ready
        self._collect_orphans()
        if child.berth.solo and self._lines is not None:
            self._lines.bell.hang_up()
        due = child.leaving or self._stopping or child.berth.solo
        if not due or (child.leaving and code != exit_codes.OK and child.blamed is None):
            self._log.warning("process died", worker=child.berth.epoch, exit=_cause(code), running=running)
        if not due:
            self._fill_place(child)
        self._recycling.ended(child, self._clock.monotonic())

    def _fill_place(self, child: Child) -> None:
        """Have another child in the place of one that died."""
        now = self._clock.monotonic()
        if self._recycling.awaits(child):
            self._recycling.retry(now + self._restarts.pause())
        elif child.ready:
            pause = self._restarts.after(now - child.ready_since)
            if not self._recycling.has_successor(child):
                self._start_in(pause, child.berth.number)
        elif not self._all_up:
            self._stop(exit_codes.FAILED)
        else:
            self._start_in(self._restarts.pause(), child.berth.number)

    def _start_in(self, pause: float, number: int) -> None:
        if pause:
            self._times.restart[number] = self._clock.monotonic() + pause
        else:
            self._start(number)

    def _reap(self, epoch: str, started: bytes | None, *, certain: bool = False) -> None:
        """Give back what a dead process held; in several calls where that is much."""
        if self._lines is None:
            return

        def reaped(reply: Reaped) -> None:
            self._tally += Tally(dead=reply.buried, given_back=reply.given_back)
            if reply.given_back or reply.buried:
                self._log.warning("jobs given back", worker=epoch, jobs=reply.given_back, dead=reply.buried)
            if reply.left:
                self._reap(epoch, started, certain=certain)
            else:
                self._advance()

        self._lines.courier.post(calls.reap(epoch, LOST, started, certain=certain), reaped)

    def _advance(self) -> None:
        """A process has died: what it ran of tasks that have a limit may run elsewhere."""
        if self._lines is not None:
            for task, limit in self._lines.limits.items():
                self._lines.courier.post(calls.advance("", task, limit))

    # Heartbeats and timers

    def _beat(self, now: float) -> None:
        in_time = now - self._times.beat <= GIL_GRACE
        self._times.beat = now + self._settings.beat
        for child in self._crew.children:
            if in_time:
                self._end_if_overdue(child, now)
            self._inspect(child, now)
            self._end_if_mute(child, now)
        started = {child.berth.epoch: child.board.started() for child in self._crew.children if child.ready}
        self._ask("heartbeat", calls.heartbeat(self._settings.lease, self._settings.outage_gap, started), self._beaten)

    def _inspect(self, child: Child, now: float) -> None:
        """Kill a child that stands still for longer than a lease; have one replaced that has grown too large."""
        self._recycling.weigh(child, now)
        if not child.process.is_stopped():
            child.stopped_since = None
        elif child.stopped_since is None:
            child.stopped_since = now
        elif now - child.stopped_since > self._settings.lease:
            self._log.error("killed", worker=child.berth.epoch, why="it was stopped (SIGSTOP) for longer than a lease")
            child.kill(b"")

    def _end_if_overdue(self, child: Child, now: float) -> None:
        """Kill a child whose job holds the GIL beyond its hard limit.

        Nothing is certain where the child stood still: it may be about to look at its limits itself. Nor where this
        comes late, as then the whole host may have stood still.
        """
        overdue = child.board.overdue(now - GIL_GRACE)
        if overdue and child.stopped_since is None and not child.process.is_stopped():
            self._log.error("killed", worker=child.berth.epoch, why="a job holds the GIL beyond its hard time limit")
            child.kill(overdue)

    def _end_if_mute(self, child: Child, now: float) -> None:
        """Kill a process that has closed its channel, and lives on for a lease: a job made another program of it."""
        if child.mute_since is None:
            child.mute_since = now if child.mute else None
        elif now - child.mute_since > self._settings.lease:
            self._log.error("killed", worker=child.berth.epoch, why="it has closed its channel; is it another program?")
            child.process.kill()

    def _beaten(self, beat: Beat) -> None:
        for child in self._crew.children:
            if child.berth.epoch in beat.lost:
                self._log.error("fenced", worker=child.berth.epoch, why="its lease ran out; its jobs run elsewhere")
                child.kill(b"")
        if beat.victim is not None:
            self._reap(beat.victim, None)
            self._times.beat = self._clock.monotonic()  # there may be more: a host has several processes
        self._promoted(beat.next_due)

    def _promoted(self, next_due: float | None) -> None:
        if next_due is not None:
            self._times.promote = min(self._times.promote, self._clock.monotonic() + next_due)

    def _answer(self) -> None:
        assert self._lines is not None
        rang = self._lines.bell.answer()
        if rang == "timer":  # at once: a promotion that is under way may not have seen this job
            self._lines.courier.post(calls.promote(UNKNOWN), self._promoted)
        elif rang == "solo" and not self._stopping:
            self._start(self._settings.procs)

    def _looked(self, pending: bool) -> None:
        if not pending and not self._stopping:
            self._stop(exit_codes.OK)

    # Signals and the end

    def _heed(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGQUIT:
                for child in self._crew.children:
                    child.dump()
            elif number == signal.SIGCHLD:
                self._collect_orphans()
            elif self._stopping:
                self._give_up()
            else:
                self._stop(exit_codes.OK)

    def _stop(self, code: int) -> None:
        """Finish what runs, within the grace; then the exit code is `code`."""
        self._code = code
        self._times.burst, self._times.grace = FOREVER, self._clock.monotonic() + self._settings.grace
        self._times.restart.clear()
        if self._lines is not None:
            running = sum(len(child.board.started()) // 16 for child in self._crew.children)
            self._log.info("stopping", running=running, grace=self._settings.grace, hint="Ctrl-C again gives them back")
        for child in self._crew.children:
            child.stop()

    def _give_up(self) -> None:
        """Give back what still runs, and go."""
        self._times.grace = FOREVER
        for child in self._crew.children:
            if child.board.started():
                self._code = exit_codes.GAVE_BACK
            child.leaving = True
            child.kill(b"")

    def _collect_orphans(self) -> None:
        """As PID 1 of a container: collect processes that jobs left behind."""
        if os.getpid() != 1:
            return
        ours = {child.process.pid for child in self._crew.children}
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in ours:
                os.waitpid(ended.si_pid, 0)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
