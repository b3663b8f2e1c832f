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
from taskq.errors import CLOSED, BrokerError, SchemaMismatch

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
        self._broker, self._link = broker, Link(broker)
        self._letters: SimpleQueue[_Letter | None] = SimpleQueue()
        self._turn = threading.Lock()
        self._started = self._closed = False
        self._used = False

    async def run(self, call: Call[T]) -> T:
        """Carry out `call` and return its value. Raises what `Broker.run` raises."""
        loop = asyncio.get_running_loop()
        letter = _Letter(call, loop, loop.create_future())
        with self._turn:
            if self._closed:
                raise BrokerError(CLOSED)
            self._letters.put(letter)
            if not self._started:
                threading.Thread(target=self._deliver, name="taskq-outbox", daemon=True).start()
                self._started = True
        return cast("T", await letter.future)

    def close(self) -> None:
        """Let the thread end when it has delivered what it was given."""
        with self._turn:
            self._closed = True
            self._letters.put(None)

    def _deliver(self) -> None:
        while letters := self._gather():
            answers = self._carry([letter.call for letter in letters])
            for loop in {letter.loop for letter in letters}:
                mine = [pair for pair in zip(letters, answers, strict=True) if pair[0].loop is loop]
                _tell(loop, mine)
            del letters, answers
        self._link.close()

    def _gather(self) -> list[_Letter]:
        """What there is to deliver, at least one letter; none once this is closed."""
        letters: list[_Letter] = []
        while not letters or (len(letters) < PIPELINE and not self._letters.empty()):
            letter = self._letters.get()
            if letter is None:
                self._letters.put(None)
                break
            letters.append(letter)
        return letters

    def _carry(self, requests: Sequence[Call[Any]]) -> Sequence[Any]:
        answers: Sequence[Any] = ()
        for _ in range(2 if self._used else 1):  # a connection that was used before may have died since
            try:
                if not self._broker.checked:
                    self._broker.check()
                answers = self._link.exchange(*requests)
                self._used = True
                break
            except (BrokerError, SchemaMismatch) as error:
                self._used, answers = False, [error] * len(requests)
        return answers


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
