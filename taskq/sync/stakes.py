"""What one process holds and waits for, and the threads that look after it. Made anew in a forked child."""

from __future__ import annotations

from taskq.broker.broker import Broker
from taskq.broker.records import Turn
from taskq.clock import Clock
from taskq.sync.book import Book, Ticket
from taskq.sync.grants import Grants
from taskq.sync.renewal import Renewal


class Stakes:
    """Thread-safe. Nothing runs before the first ticket is opened."""

    def __init__(self, broker: Broker, clock: Clock):
        self.broker, self.clock = broker, clock
        self.book = Book(clock)
        self._grants, self._renewal = Grants(self.book, broker, clock), Renewal(self.book, broker, clock)

    def open(self, kind: type[Ticket], sync: str, places: int, lease: float) -> Ticket:
        """A new ticket. From now on it has to be held, forgotten or abandoned."""
        ticket = self.book.open(kind, sync, places, lease)
        self._renewal.start()
        return ticket

    def answered(self, ticket: Ticket, turn: Turn, asked_at: float) -> None:
        """Note what Redis said; where that was to wait, `ticket.turn` will be told."""
        self.book.answered(ticket, turn, asked_at)
        if not turn.number:
            self._grants.attend(ticket)

    def settle_in(self, epoch: str) -> None:
        """This process is a worker's, and what it holds is held as long as that lives: its supervisor sees to that."""
        self.book.settle_in(epoch)

    def close(self) -> None:
        """Tell all who wait that they do so in vain, and give back what is held."""
        self.book.close()
