"""What a process must keep on doing for its locks: renew leases, give back what was abandoned, compare with Redis."""

from __future__ import annotations

import random
import threading
import time

from taskq.broker import calls
from taskq.broker.broker import LONGEST_PAUSE, Broker
from taskq.broker.connection import ANSWER_TIMEOUT
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Renewed
from taskq.clock import Clock
from taskq.errors import BrokerError
from taskq.sync.book import Book, Party, undo

PAGE = 100


class Renewal:
    """One thread, which rests while this process holds nothing and waits for nothing."""

    def __init__(self, book: Book, broker: Broker, clock: Clock):
        self._book, self._broker, self._clock = book, broker, clock
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._book.changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="taskq-renewal", daemon=True)
                self._thread.start()

    def _keep(self) -> None:
        link, backoff = Link(self._broker, ANSWER_TIMEOUT), Reconnect(LONGEST_PAUSE)
        while self._wait_for_work():
            try:
                self._tidy(link)
                self._renew(link)
                backoff.succeeded()
            except Exception as error:  # this thread must not die: leases would run out
                link.close()
                if self._book.closed:
                    return
                time.sleep(backoff.failed(random.random()) if isinstance(error, BrokerError) else LONGEST_PAUSE)
        link.close()

    def _wait_for_work(self) -> bool:
        """False once the book is closed and nothing is left to give back."""
        book = self._book
        with book.changed:
            while not (book.closed or book.litter):
                left = book.due() - self._clock.monotonic()
                if left <= 0:
                    break
                book.changed.wait(min(left, threading.TIMEOUT_MAX))
            return not book.closed or bool(book.litter)

    def _tidy(self, link: Link) -> None:
        """Give back what was abandoned."""
        while page := self._book.litter[:PAGE]:
            values(link.exchange(*[ticket.undo() for ticket in page]))
            for ticket in page:
                self._book.forget(ticket)
            with self._book.changed:
                self._book.litter = [ticket for ticket in self._book.litter if ticket not in page]

    def _renew(self, link: Link) -> None:
        for party, known in self._book.due_parties(self._clock.monotonic()):
            before, asked_at = self._book.all_held(), self._clock.monotonic()
            (answer,) = values(link.exchange(calls.renew(party.name, party.lease, known)))
            party.renew_at = self._clock.monotonic() + party.interval
            if not answer.alive and not party.new:
                self._book.bury(party)
            elif answer.alive:
                party.renewed(asked_at)
            if answer.stakes is not None:
                self._compare(link, party, answer)
                self._book.missing(party, {token for _, token in answer.stakes}, before)

    def _compare(self, link: Link, party: Party, found: Renewed) -> None:
        """What Redis has and the book has not is nobody's."""
        strangers = [(sync, token) for sync, token in found.stakes or () if self._book.find(token) is None]
        for at in range(0, len(strangers), PAGE):
            values(link.exchange(*[undo(*stranger) for stranger in strangers[at : at + PAGE]]))
