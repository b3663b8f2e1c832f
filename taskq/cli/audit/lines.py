"""Reading a ready list while jobs come and go: exactly, each member once.

    head  f e d c b a  end        a was the last when reading began: the mark
              ^ edge              c was read last; it still stands 2 before a, so all between them stand as they were

Members enter and leave at the ends only. So where the edge is found where it was, the list is known from its end up to
there, and once the head is reached all of it is known, at that instant.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from taskq.broker.keys import member_id
from taskq.broker.records import Bookmark, Stretch


class Reader:
    """How far one ready list has been read, and where the jobs `wanted` stand in it."""

    def __init__(self, route: str, wanted: Container[bytes] = ()):
        self.bookmark = Bookmark(route)
        self.left: int | None = None
        self._wanted = wanted
        self._came = 0
        self._seen: list[tuple[bytes, int]] = []

    def take(self, stretch: Stretch) -> None:
        """Note what a visit found."""
        _, mark, read, edge = self.bookmark
        members, newer = stretch.members, stretch.newer
        self._came += len(newer)
        self._note(newer, 0)
        self._note(members, read + len(newer))
        last = newer or ((mark,) if mark else members)
        self.left = stretch.left
        self.bookmark = Bookmark(
            self.bookmark.route,
            last[-1] if last else b"",
            read + len(newer) + len(members),
            members[0] if members else edge,
        )

    def _note(self, members: tuple[bytes, ...], behind: int) -> None:
        """`behind`: how many stand between the last of them and the end. Kept is the distance from the first mark."""
        for distance, member in enumerate(reversed(members), start=behind - self._came):
            if member_id(member) in self._wanted:
                self._seen.append((member_id(member), distance))

    def seen(self) -> Iterator[tuple[bytes, int]]:
        """Each time that a job was seen: its id, and its distance from the mark."""
        return ((job, distance + self._came) for job, distance in self._seen)
