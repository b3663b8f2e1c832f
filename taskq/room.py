"""Waiting for room in full queues, without polling: a connection and a thread for each queue that somebody waits for.

enqueue -> Full -> waits                            claim, purge: there is room again
             |                                             |
             +-- the first in line <-- the thread <-- a token at room:<queue>
                   enqueues again, and leaves a token where there is room for more
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import defaultdict, deque
from concurrent.futures import Future
from contextlib import suppress

from taskq.broker import calls
from taskq.broker.broker import LONGEST_PAUSE, Broker
from taskq.broker.connection import ANSWER_TIMEOUT
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Full
from taskq.clock import Clock
from taskq.errors import CLOSED, BrokerError, QueueFull
from taskq.units import brief

BLOCK = 2.0
"""Seconds after which the first who waits looks himself: the token may have gone to one who died with it."""
EVERYBODY = 1 << 31


class Rooms:
    """Those of one process who wait for room. Thread-safe."""

    def __init__(self, broker: Broker, clock: Clock):
        self._broker, self._clock = broker, clock
        self._waiting: dict[str, deque[Future[None]]] = defaultdict(deque)
        self._served: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()

    def patience(self, seconds: float | None) -> Patience:
        """That of one call."""
        return Patience(seconds, self._clock)

    def wait(self, queue: str, seconds: float | None) -> bool:
        """Wait until there may be room in `queue`; False where `seconds` have passed before. Raises BrokerError."""
        future = self.join(queue)
        try:
            future.result(seconds)
        except TimeoutError:
            return False
        finally:
            self._leave(queue, future)
        return True

    async def await_(self, queue: str, seconds: float | None) -> bool:
        """`wait` for coroutines."""
        future = self.join(queue)
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            return False
        finally:
            self._leave(queue, future)
        return True

    def close(self) -> None:
        """Tell all who wait that there will be no room, and let the threads end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            waiting = [future for line in self._waiting.values() for future in line]
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(BrokerError(CLOSED))

    def join(self, queue: str) -> Future[None]:
        """Wait for room in `queue`: the future is done when there may be some. Raises BrokerError once closed."""
        future: Future[None] = Future()
        with self._changed:
            if self._closed:
                raise BrokerError(CLOSED)
            self._waiting[queue].append(future)
            if queue not in self._served:
                threading.Thread(target=self._listen, args=(queue,), name=f"taskq-room-{queue}", daemon=True).start()
                self._served.add(queue)
            self._changed.notify_all()
        return future

    def _leave(self, queue: str, future: Future[None]) -> None:
        with self._changed, suppress(ValueError):
            self._waiting[queue].remove(future)

    def _wake(self, queue: str, most: int) -> int:
        """Wake the first who wait; how many."""
        woken = 0
        with self._changed:
            line = self._waiting[queue]
            while line and woken < most:
                future = line.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_result(None)
                    woken += 1
        return woken

    def _listen(self, queue: str) -> None:
        link, backoff = Link(self._broker, BLOCK + ANSWER_TIMEOUT), Reconnect(LONGEST_PAUSE)
        bell = self._broker.key("room", queue)
        while self._wait_for_waiters(queue):
            try:
                (rung,) = values(link.exchange(calls.doorbell([bell], BLOCK)))
                if not self._wake(queue, 1) and rung:
                    values(link.exchange(calls.beckon(queue)))
                backoff.succeeded()
            except Exception:  # who waits is told by his next try what is wrong
                link.close()
                self._wake(queue, EVERYBODY)
                time.sleep(backoff.failed(random.random()))
        link.close()

    def _wait_for_waiters(self, queue: str) -> bool:
        """False once this is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting[queue] or self._closed)
            return not self._closed


class Patience:
    """How long one call waits for room, counted from when it first has to. `seconds` None: for as long as it takes."""

    def __init__(self, seconds: float | None, clock: Clock):
        self._seconds, self._clock = seconds, clock
        self._until: float | None = None
        self._over = seconds == 0

    def demand(self, queue: str, full: Full) -> float | None:
        """For how many seconds to wait for room in `queue`, None without end. Raises QueueFull where that is over."""
        now = self._clock.monotonic()
        if self._over:
            raise QueueFull(_complaint(queue, full, self._seconds or 0.0))
        if self._until is None and self._seconds is not None:
            self._until = now + self._seconds
        return None if self._until is None else max(0.0, self._until - now)

    def took(self, *, woken: bool) -> None:
        """Who was not woken in time tries once more, for the last time."""
        self._over = not woken


def _complaint(queue: str, full: Full, waited: float) -> str:
    after = f" after {brief(waited)}" if waited else ""
    return (
        f"cannot enqueue to queue '{queue}': it is full{after}, {full.length} jobs are in line and its max_length is "
        f"{full.bound}\n  hint: more workers for it, a larger max_length, or options(queue_timeout=...) to wait longer"
    )
