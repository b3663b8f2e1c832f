"""What jobs that wait have claimed by themselves, or may have: for the exchange these are no strangers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Picks:
    """Written to by the threads of lanes, read by the exchange.

    A job may be taken again before it is known that its attempt before was written: then it is there twice.
    """

    def __init__(self) -> None:
        self._asked: dict[object, Collection[bytes]] = {}
        self._taken = Counter[bytes]()
        self._lock = threading.Lock()

    @contextmanager
    def asking(self, members: Collection[bytes]) -> Iterator[None]:
        """Inside, Redis may give us any of these. What it gave and nobody takes by the end goes back in line."""
        me = object()
        self._asked[me] = members
        try:
            yield
        finally:
            del self._asked[me]

    def take(self, member: bytes) -> None:
        """It runs here."""
        with self._lock:
            self._taken[member] += 1

    def drop(self, member: bytes) -> None:
        """It is written what became of it, or nothing will."""
        with self._lock:
            self._taken[member] -= 1
            if self._taken[member] <= 0:
                del self._taken[member]

    def __contains__(self, member: bytes) -> bool:
        # In the order in which it goes from one to the other.
        return any(member in members for members in [*self._asked.values()]) or member in self._taken

    def __bool__(self) -> bool:
        return bool(self._asked or self._taken)
