"""Calls for coroutines: one thread sends what all of them ask for, as many as have gathered in one pipeline.

While one pipeline is under way the next gathers, so a thousand coroutines that enqueue share a few round trips, and
the event loop never waits for a socket.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from taskq.broker.broker import LONGEST_PAUSE, Broker
from taskq.broker.call import Call
from taskq.broker.connection import ANSWER_TIMEOUT
from taskq.broker.link import Link
from taskq.broker.reconnect import Reconnect
from taskq.errors import CLOSED, BrokerError, BrokerUnavailable

T = TypeVar("T")
PIPELINE = 256


@dataclass(frozen=True, slots=True)
class _Letter:
    """`until`: when its sender has waited long enough (monotonic)."""

    call: Call[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    until: float


class Outbox:
    """Thread-safe; for any number of event loops. Only for calls that may be sent twice."""

    def __init__(self, broker: Broker):
        self._broker = broker
        self._link = Link(broker, ANSWER_TIMEOUT)
        self._letters: SimpleQueue[_Letter | None] = SimpleQueue()
        self._turn = threading.Lock()
        self._started = self._closed = False
        self._used = False
        self._backoff = Reconnect(LONGEST_PAUSE)
        self._pause: float | None = None  # before letters are sent again

    async def run(self, call: Call[T]) -> T:
        """Carry out `call` and return its value. Raises what `Broker.run` raises, and waits as long for an answer."""
        loop = asyncio.get_running_loop()
        letter = _Letter(call, loop, loop.create_future(), time.monotonic() + self._broker.patience)
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
        left: list[_Letter] = []
        while letters := self._gather(left):
            answers = self._carry(letters)
            left = self._left(letters, answers)
            told = [pair for pair in zip(letters, answers, strict=True) if pair[0] not in left]
            for loop in {letter.loop for letter, _ in told}:
                _tell(loop, [pair for pair in told if pair[0].loop is loop])
            del letters, answers, told
        self._link.close()

    def _gather(self, letters: list[_Letter]) -> list[_Letter]:
        """What there is to deliver besides `letters`, at least one letter; none once this is closed."""
        while not letters or (len(letters) < PIPELINE and not self._letters.empty()):
            letter = self._letters.get()
            if letter is None:
                self._letters.put(None)
                break
            letters.append(letter)
        return letters

    def _carry(self, letters: Sequence[_Letter]) -> Sequence[Any]:
        """An answer or an error for each letter, whatever happens: somebody waits for it."""
        if self._pause is None:
            return self._exchange(self._link, letters)
        time.sleep(self._pause)
        left = min(letter.until for letter in letters) - time.monotonic()
        link = Link(self._broker, min(max(left, 0.01), ANSWER_TIMEOUT))
        try:
            return self._exchange(link, letters)
        finally:
            link.close()

    def _exchange(self, link: Link, letters: Sequence[_Letter]) -> Sequence[Any]:
        try:
            if not self._broker.checked:
                self._broker.judge(*link.exchange(self._broker.schema))
            return link.exchange(*[letter.call for letter in letters])
        except Exception as error:
            return [error] * len(letters)

    def _left(self, letters: Sequence[_Letter], answers: Sequence[Any]) -> list[_Letter]:
        """The letters that are sent again, after a pause: the trouble may pass, and their senders have time."""
        now = time.monotonic() if self._broker.answered else float("inf")
        troubled = [
            letter for letter, answer in zip(letters, answers, strict=True) if isinstance(answer, BrokerUnavailable)
        ]
        left = [letter for letter in troubled if now < letter.until and not letter.future.done()]
        if not troubled:
            self._pause = None
            self._backoff.succeeded()
        elif not left or (self._pause is None and self._used):
            self._pause = 0.0  # nobody waits; or the connection was old, and died maybe long ago
        else:
            self._pause = self._backoff.failed(random.random())
        self._used = not troubled
        return left


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
