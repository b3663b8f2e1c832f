"""What jobs did, apart from Redis: each execution appends a line to a file, and rings for a test that waits for it."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

FILE, BELL = "TASKQ_TEST_JOURNAL", "TASKQ_TEST_BELL"


@dataclass(frozen=True, slots=True)
class Entry:
    """One execution of a job. `at` is monotonic."""

    task: str
    job: str
    pid: int
    at: float


def write(task: str, job: str) -> None:
    """In a job: note that it runs. One write, so that lines of several processes do not mix."""
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.write(f"{task} {job} {os.getpid()} {time.monotonic()}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.settimeout(0)
        try:
            bell.sendto(b"!", os.environ[BELL])
        except OSError:  # it rings already, or nobody listens any more
            return


class Journal:
    """The reader's side. `environ` is for the processes that write."""

    def __init__(self, folder: Path):
        self._file, bell = folder / "journal", str(folder / "bell")
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.bind(bell)
        self.environ = {FILE: str(self._file), BELL: bell}

    def entries(self, task: str | None = None) -> list[Entry]:
        """All executions so far, in the order in which they were noted."""
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        rows = [line.split() for line in text.splitlines()]
        return [Entry(name, job, int(pid), float(at)) for name, job, pid, at in rows if task in (None, name)]

    def wait_for(self, task: str, count: int = 1, timeout: float = 60) -> Entry:
        """The execution of `task` that is number `count`, once it has begun."""
        self._bell.settimeout(timeout)
        while len(found := self.entries(task)) < count:
            self._bell.recv(16)
        return found[count - 1]

    def close(self) -> None:
        self._bell.close()
