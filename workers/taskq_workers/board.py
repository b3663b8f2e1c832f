"""The board: a few bytes of memory that a child shares with its supervisor, to say which jobs it has started.

    row   16 bytes id | 8 bytes hard deadline (monotonic seconds, 0: none)      id of zeros: the row is free

One row for each slot. The child writes without a lock, the supervisor reads when it sends a heartbeat and when the
child is dead; so a job that had started when its process died is known even after a SIGKILL.
"""

from __future__ import annotations

import mmap
import struct

_ROW = struct.Struct("=16sd")
_FREE = bytes(_ROW.size)
_NOBODY = bytes(16)


class Board:
    """`rows` slots, shared with processes forked afterwards."""

    def __init__(self, rows: int):
        self.rows = rows
        self._memory = mmap.mmap(-1, max(1, rows) * _ROW.size)

    def begin(self, row: int, job_id: bytes, hard_deadline: float = 0.0) -> None:
        """Slot `row` starts this job."""
        _ROW.pack_into(self._memory, row * _ROW.size, job_id, hard_deadline)

    def end(self, row: int) -> None:
        """Slot `row` is free."""
        start = row * _ROW.size
        self._memory[start : start + _ROW.size] = _FREE

    def started(self) -> bytes:
        """The ids of all jobs that are running, joined."""
        return b"".join(job_id for job_id, _ in _ROW.iter_unpack(self._memory[:]) if job_id != _NOBODY)

    def overdue(self, now: float) -> bytes:
        """The ids of jobs that are past their hard deadline, joined."""
        rows = _ROW.iter_unpack(self._memory[:])
        return b"".join(job_id for job_id, deadline in rows if 0 < deadline < now and job_id != _NOBODY)

    def close(self) -> None:
        self._memory.close()
