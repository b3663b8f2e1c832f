"""Waiting for places, without polling: one connection and one thread for all who wait in a process.

release, or the death of a holder --> Redis: gives the place to the first in line, and pushes that to granted:<process>
                                                                                           |
Ticket.turn <-- the thread: BLPOP granted:<process> <--------------------------------------+

What is pushed may be lost with a connection, and a holder may die with nobody to see it. So the first in each line asks
again when the next lease runs out (Redis says when), and all do after trouble.
"""

from __future__ import annotations

import random
import threading
import time

from taskq.broker import calls
from taskq.broker.broker import LONGEST_PAUSE, Broker
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.clock import Clock
from taskq.errors import BrokerError
from taskq.sync.book import FOREVER, Book, Ticket

BLOCK = 2.0
LEAST = 0.01
"""Seconds of a BLPOP: Redis takes 0 for ever."""
ASK_AGAIN_AFTER = 30.0
"""Seconds after which all who wait ask again: what was pushed for them may have expired (the process was stopped)."""
PAGE = 100


class Grants:
    """The thread starts when somebody waits, and rests when nobody does."""

    def __init__(self, book: Book, broker: Broker, clock: Clock):
        self._book, self._broker, self._clock = book, broker, clock
        self._thread: threading.Thread | None = None
        self._all_at = 0.0

    def attend(self, ticket: Ticket) -> None:
        """`ticket` stands in line from now on."""
        self._book.stand(ticket)
        with self._book.changed:
            if self._thread is None:
                self._all_at = self._clock.monotonic() + ASK_AGAIN_AFTER
                self._thread = threading.Thread(target=self._listen, name="taskq-grants", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        link, backoff = Link(self._broker), Reconnect(LONGEST_PAUSE)
        while self._wait_for_waiters():
            try:
                self._ask_again(link)
                self._hear(link)
                backoff.succeeded()
            except Exception as error:  # this thread must not die: all who wait would do so for ever
                link.close()
                self._all_at = 0.0
                time.sleep(backoff.failed(random.random()) if isinstance(error, BrokerError) else LONGEST_PAUSE)
        link.close()

    def _wait_for_waiters(self) -> bool:
        """False once the book is closed."""
        with self._book.changed:
            self._book.changed.wait_for(lambda: self._book.closed or self._book.heads())
            return not self._book.closed

    def _ask_again(self, link: Link) -> None:
        now = self._clock.monotonic()
        due = [ticket for ticket in self._book.heads() if ticket.look_at <= now]
        chosen = self._book.waiting() if now >= self._all_at else due
        for at in range(0, len(chosen), PAGE):
            page, asked_at = chosen[at : at + PAGE], self._clock.monotonic()
            turns = values(link.exchange(*[ticket.ask(wait=True) for ticket in page]))
            for ticket, turn in zip(page, turns, strict=True):
                self._book.answered(ticket, turn, asked_at)
        if now >= self._all_at:
            self._all_at = now + ASK_AGAIN_AFTER

    def _hear(self, link: Link) -> None:
        key = self._broker.key("granted", self._book.process)
        look_at = min((ticket.look_at for ticket in self._book.heads()), default=FOREVER)
        block = min(BLOCK, look_at - self._clock.monotonic())
        first, more = values(link.exchange(calls.granted(key, max(LEAST, block)), calls.granted_more(key)))
        for token, number in (*first, *more):
            self._book.turn_of(token, number)
