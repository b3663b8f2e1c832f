"""The board: a little memory that a child shares with its supervisor: what it has done, and which jobs it has started.

    tally 8 bytes each: jobs ended well, jobs dead, jobs given back, outcomes dropped
    row   16 bytes id | 8 bytes hard deadline (monotonic seconds, 0: none, -1: it has ended)      id of zeros: none yet

One row for each slot; it shows the last job even when that has ended, as its outcome may not be written yet. The child
writes without a lock, the supervisor reads when it sends a heartbeat and when the child is dead; so a job that had
started when its process died is known even after a SIGKILL.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

_TALLY = struct.Struct("=4Q")
_ROW = struct.Struct("=16sd")
_ENDED = struct.pack("=d", -1.0)
_NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs a process has brought to which end. `dropped`: outcomes that came too late to count."""

    ok: int = 0
    dead: int = 0
    given_back: int = 0
    dropped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.ok + other.ok,
            self.dead + other.dead,
            self.given_back + other.given_back,
            self.dropped + other.dropped,
        )


class Board:
    """`rows` slots, shared with processes forked afterwards."""

    def __init__(self, rows: int):
        self.rows = rows
        self._memory = mmap.mmap(-1, _TALLY.size + rows * _ROW.size)

    def begin(self, row: int, job_id: bytes, hard_deadline: float = 0.0) -> None:
        """Slot `row` starts this job."""
        _ROW.pack_into(self._memory, _TALLY.size + row * _ROW.size, job_id, hard_deadline)

    def end(self, row: int) -> None:
        """The job in slot `row` has ended."""
        end = _TALLY.size + (row + 1) * _ROW.size
        self._memory[end - len(_ENDED) : end] = _ENDED

    def started(self) -> bytes:
        """The ids of all jobs that are running, joined."""
        rows = _ROW.iter_unpack(self._memory[_TALLY.size :])
        return b"".join(job_id for job_id, deadline in rows if deadline >= 0 and job_id != _NOBODY)

    def last(self) -> bytes:
        """The ids of all jobs that are running, or were the last in their slot, joined.

        If the process dies, each of them that it still holds may be why: some kill it just after they have ended.
        """
        rows = _ROW.iter_unpack(self._memory[_TALLY.size :])
        return b"".join(job_id for job_id, _ in rows if job_id != _NOBODY)

    def overdue(self, now: float) -> bytes:
        """The ids of jobs that are past their hard deadline, joined."""
        rows = _ROW.iter_unpack(self._memory[_TALLY.size :])
        return b"".join(job_id for job_id, deadline in rows if 0 < deadline < now and job_id != _NOBODY)

    def count(self, more: Tally) -> None:
        """Add to the tally. Only the thread that writes outcomes does."""
        sum_ = self.tally() + more
        _TALLY.pack_into(self._memory, 0, sum_.ok, sum_.dead, sum_.given_back, sum_.dropped)

    def tally(self) -> Tally:
        return Tally(*_TALLY.unpack_from(self._memory))

    def close(self) -> None:
        self._memory.close()
