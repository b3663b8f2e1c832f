"""Calls for coroutines: one thread sends what all of them ask for, as many as have gathered in one pipeline.

While one pipeline is under way the next gathers, so a thousand coroutines that enqueue share a few round trips, and
the event loop never waits for a socket.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.link import Link
from taskq.errors import BrokerError

T = TypeVar("T")
PIPELINE = 256


@dataclass(frozen=True, slots=True)
class _Letter:
    call: Call[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Outbox:
    """Thread-safe; for any number of event loops. Only for calls that may be sent twice."""

    def __init__(self, broker: Broker):
        self._link = Link(broker)
        self._letters: SimpleQueue[_Letter] = SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    async def run(self, call: Call[T]) -> T:
        """Carry out `call` and return its value. Raises what `Broker.run` raises."""
        loop = asyncio.get_running_loop()
        letter = _Letter(call, loop, loop.create_future())
        self._letters.put(letter)
        self._start()
        return cast("T", await letter.future)

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                threading.Thread(target=self._deliver, name="taskq-outbox", daemon=True).start()
                self._started = True

    def _deliver(self) -> None:
        while True:
            letters = [self._letters.get()]
            while len(letters) < PIPELINE and not self._letters.empty():
                letters.append(self._letters.get())
            answers = self._carry([letter.call for letter in letters])
            for loop in {letter.loop for letter in letters}:
                mine = [pair for pair in zip(letters, answers, strict=True) if pair[0].loop is loop]
                _tell(loop, mine)
            del letters, answers

    def _carry(self, requests: Sequence[Call[Any]]) -> Sequence[Any]:
        for last in (False, True):
            try:
                return self._link.exchange(*requests)
            except BrokerError as error:
                if last:
                    return [error] * len(requests)
        raise AssertionError


def _tell(loop: asyncio.AbstractEventLoop, answers: list[tuple[_Letter, Any]]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, answers)
    except RuntimeError:  # the loop was closed: nobody waits any more
        return


def _settle(answers: Iterable[tuple[_Letter, Any]]) -> None:
    for letter, answer in answers:
        if letter.future.done():
            continue
        if isinstance(answer, Exception):
            letter.future.set_exception(answer)
        else:
            letter.future.set_result(answer)
