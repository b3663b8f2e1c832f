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

    __slots__ = ("_lock", "_owner", "interrupted", "sheltered")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: str | None = None
        self.interrupted = False
        self.sheltered = False

    def take(self, who: str) -> bool:
        """Is it now, or was it already, the ticket of `who`?"""
        with self._lock:
            self._owner = self._owner or who
            return self._owner == who

    def interrupt(self, how: Callable[[], object]) -> None:
        """Do `how` if the job still runs; it cannot end meanwhile."""
        with self._lock:
            if self._owner is None and not self.interrupted and not self.sheltered:
                self.interrupted = True
                how()

    def shelter(self) -> None:
        """Nothing interrupts the job until `expose`: another one runs in its place. See `Watch.expose`."""
        with self._lock:
            self.sheltered = True

    def expose(self) -> None:
        with self._lock:
            self.sheltered = False


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


@dataclass(slots=True)
class _Guard:
    soft: float
    hard: float
    ticket: Ticket
    interrupt: Callable[[], object]
    abandon: Callable[[], object]

    def next(self) -> float:
        if self.ticket.sheltered:
            return float("inf")
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
        self._guards: dict[object, _Guard] = {}
        self._wakes_at = float("inf")
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def guard(
        self,
        key: object,
        timeout: float,
        ticket: Ticket,
        interrupt: Callable[[], object],
        abandon: Callable[[], object],
    ) -> float:
        """From now on limit the job that goes by `key` to `timeout` seconds; its hard deadline (monotonic)."""
        soft = self._clock.monotonic() + timeout
        with self._changed:
            self._guards[key] = _Guard(soft, soft + HARD_AFTER, ticket, interrupt, abandon)
            if self._thread is None:
                self._thread = threading.Thread(target=or_die, args=(self._run,), name="taskq-limits", daemon=True)
                self._thread.start()
            elif soft < self._wakes_at:
                self._changed.notify()
        return soft + HARD_AFTER

    def release(self, key: object) -> None:
        """The job has ended."""
        with self._changed:
            self._guards.pop(key, None)

    def postpone(self, key: object) -> float:
        """Others ran in the place of a sheltered job: it has the usual time to clean up. Its new hard deadline."""
        with self._changed:
            guard = self._guards.get(key)
            if guard is None:  # it was abandoned just before
                return 0.0
            guard.hard = max(guard.hard, self._clock.monotonic() + HARD_AFTER)
            return guard.hard

    def expose(self, key: object) -> None:
        """A sheltered job goes on, in this thread: it is interrupted at once where its soft limit has passed."""
        with self._changed:
            guard = self._guards.get(key)
            if guard is None:
                return
            guard.ticket.expose()
            self._changed.notify()
        if self._clock.monotonic() >= guard.soft:
            guard.ticket.interrupt(guard.interrupt)

    def _run(self) -> None:
        while True:
            for guard in self._due():
                guard.act(self._clock.monotonic())

    def _due(self) -> list[_Guard]:
        with self._changed:
            while True:
                now = self._clock.monotonic()
                due = {key: guard for key, guard in self._guards.items() if guard.next() <= now}
                if due:
                    for key, guard in due.items():
                        if now >= guard.hard:
                            del self._guards[key]
                    return [*due.values()]
                self._wakes_at = min((guard.next() for guard in self._guards.values()), default=float("inf"))
                self._changed.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)
