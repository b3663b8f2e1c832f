"""Piles of job ids that fit into memory: a million take 16 MB, where a set of them takes 100."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taskq.broker.keys import ID_BYTES

HEAPS = 256


class Pile:
    """Ids, in heaps by their last byte, which is chance. To each belongs a number below 2^32, or none."""

    def __init__(self, *, numbered: bool = False):
        self._width = ID_BYTES + (4 if numbered else 0)
        self._heaps = [bytearray() for _ in range(HEAPS)]

    def __len__(self) -> int:
        return sum(map(len, self._heaps)) // self._width

    def add(self, ids: Iterable[bytes], number: int | None = None) -> None:
        """What is not as long as an id is left out."""
        tail = b"" if number is None else number.to_bytes(4, "big")
        for job in ids:
            if len(job) == ID_BYTES:
                self._heaps[job[-1]] += job + tail

    def heap(self, which: int) -> set[bytes]:
        """The ids of one heap."""
        heap, width = bytes(self._heaps[which]), self._width
        return {heap[at : at + ID_BYTES] for at in range(0, len(heap), width)}

    def numbers(self, which: int) -> Iterator[tuple[bytes, int]]:
        """The ids of one heap with their numbers, as often as they were added."""
        heap, width = bytes(self._heaps[which]), self._width
        for at in range(0, len(heap), width):
            yield heap[at : at + ID_BYTES], int.from_bytes(heap[at + ID_BYTES : at + width], "big")
