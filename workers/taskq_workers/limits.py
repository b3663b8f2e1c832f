"""Time limits of running jobs: at the soft limit the job is interrupted, at the hard one it is abandoned.

    start ---- timeout ----> soft: TimeLimit is raised in it ---- 5 s ----> hard: its outcome is written without it

A thread cannot be stopped from outside: the soft limit reaches it when it next runs Python code, and not at all while
it is inside C. An abandoned thread is of no more use, nor is its process: the child retires.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass

from taskq.clock import Clock
from taskq.errors import TimeLimit
from taskq_workers.fatal import or_die

HARD_AFTER = 5.0
"""Seconds from the soft limit to the hard one: for cleaning up."""


class Ticket:
    """The right to say how a job ended: the job itself takes it, or the watch that abandons it, whoever is first."""

    __slots__ = ("_lock", "_owner", "interrupted")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: str | None = None
        self.interrupted = False

    def take(self, who: str) -> bool:
        """Is it now, or was it already, the ticket of `who`?"""
        with self._lock:
            self._owner = self._owner or who
            return self._owner == who

    def interrupt(self, how: Callable[[], object]) -> None:
        """Do `how` if the job still runs; it cannot end meanwhile."""
        with self._lock:
            if self._owner is None and not self.interrupted:
                self.interrupted = True
                how()


def close(ticket: Ticket, thread: int) -> bool:
    """The job in this thread has ended: take its ticket. Afterwards no TimeLimit can reach the thread.

    One that was set just before may be raised anywhere in here, and is of no interest any more.
    """
    while True:
        try:
            mine = ticket.take("job")
            calm(thread)
            return mine
        except TimeLimit:
            continue


def raise_in(thread: int) -> None:
    """Raise TimeLimit in the thread with this identifier, when it next runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeLimit))


def calm(thread: int) -> None:
    """Take back an exception that `raise_in` set and that has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)


@dataclass(frozen=True, slots=True)
class _Guard:
    soft: float
    hard: float
    ticket: Ticket
    interrupt: Callable[[], object]
    abandon: Callable[[], object]

    def next(self) -> float:
        return self.hard if self.ticket.interrupted else self.soft

    def act(self, now: float) -> None:
        if now >= self.hard:
            if self.ticket.take("watch"):
                self.abandon()
        else:
            self.ticket.interrupt(self.interrupt)


class Watch:
    """Interrupts and abandons jobs at their limits: one thread, started with the first job that has a limit."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._guards: dict[int, _Guard] = {}
        self._wakes_at = float("inf")
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def guard(
        self, row: int, timeout: float, ticket: Ticket, interrupt: Callable[[], object], abandon: Callable[[], object]
    ) -> float:
        """From now on limit the job in slot `row` to `timeout` seconds. The answer is its hard deadline (monotonic)."""
        soft = self._clock.monotonic() + timeout
        with self._changed:
            self._guards[row] = _Guard(soft, soft + HARD_AFTER, ticket, interrupt, abandon)
            if self._thread is None:
                self._thread = threading.Thread(target=or_die, args=(self._run,), name="taskq-limits", daemon=True)
                self._thread.start()
            elif soft < self._wakes_at:
                self._changed.notify()
        return soft + HARD_AFTER

    def release(self, row: int) -> None:
        """The job in slot `row` has ended."""
        with self._changed:
            self._guards.pop(row, None)

    def _run(self) -> None:
        while True:
            for guard in self._due():
                guard.act(self._clock.monotonic())

    def _due(self) -> list[_Guard]:
        with self._changed:
            while True:
                now = self._clock.monotonic()
                due = [row for row, guard in self._guards.items() if guard.next() <= now]
                if due:
                    guards = [self._guards[row] for row in due]
                    for row in due:
                        if now >= self._guards[row].hard:
                            del self._guards[row]
                    return guards
                self._wakes_at = min((guard.next() for guard in self._guards.values()), default=float("inf"))
                self._changed.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)
