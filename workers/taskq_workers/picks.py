"""What jobs that wait have claimed by themselves, or may have: for the exchange these are no strangers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Picks:
    """Written to by the threads of lanes, read by the exchange: every step is one operation on a dict or a set."""

    def __init__(self) -> None:
        self._asked: dict[object, Collection[bytes]] = {}
        self._taken: set[bytes] = set()

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
        self._taken.add(member)

    def drop(self, member: bytes) -> None:
        """It is written what became of it, or nothing will."""
        self._taken.discard(member)

    def __contains__(self, member: bytes) -> bool:
        return member in self._taken or any(member in members for members in [*self._asked.values()])

    def __bool__(self) -> bool:
        return bool(self._taken or self._asked)
