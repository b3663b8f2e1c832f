"""What producers and jobs did, apart from Redis: each process appends lines to a file of its own.

    intent  token                            a producer is about to enqueue
    ack     token job                        its enqueue returned
    refused token                            it raised, and nothing can have been stored
    cancelling token                         a producer is about to cancel it
    cancelled token                          `cancel()` said that it will not run
    told    token value                      `result()` returned this
    heard   name token value                 the same, to a job that waits: in its execution of this name
    start   token job attempt fence serial   an execution begins (`job`: its id as 26 characters, here and above)
    end     serial                           it ends (`serial` is unique in its process)

Every line ends with the monotonic time, which all processes of a host share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

FOLDER = "TASKQ_TEST_JOURNALS"

_serials = count(1)
_files: dict[int, int] = {}


def note(*words: object) -> None:
    """Append a line, by one write: also of a process that is about to die."""
    line = " ".join(map(str, words)) + f" {time.monotonic():.6f}\n"
    os.write(_file(), line.encode())


def _file() -> int:
    pid = os.getpid()
    if pid not in _files:
        path = Path(os.environ[FOLDER]) / str(pid)
        _files[pid] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return _files[pid]


def begin(token: str, job: str, attempt: int, fence: str) -> int:
    """An execution begins; the answer is its serial."""
    serial = next(_serials)
    note("start", token, job, attempt, fence, serial)
    return serial


@dataclass(slots=True)
class Execution:
    """One run of a job. `end` is None where its process did not live to see it."""

    token: str
    job: str
    attempt: int
    fence: str
    pid: int
    serial: int
    start: float
    end: float | None = None

    @property
    def name(self) -> str:
        """What a task returns: the value of the result says which execution it is of."""
        return name_of(self.pid, self.serial)


def name_of(pid: int, serial: int) -> str:
    return f"{pid}.{serial}"


@dataclass(slots=True)
class Journals:
    """All of it, read back. Keys are tokens, of `heard` names of executions; times are monotonic."""

    intents: dict[str, float] = field(default_factory=dict)
    acks: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    cancelling: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    told: dict[str, set[str]] = field(default_factory=dict)
    heard: dict[str, dict[str, str]] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)


def read(folder: Path) -> Journals:
    found = Journals()
    for path in sorted(folder.iterdir()):
        running: dict[str, Execution] = {}
        for words in _lines(path):
            _take(found, int(path.name), running, words)
    found.executions.sort(key=lambda execution: execution.start)
    return found


def _lines(path: Path) -> Iterator[list[str]]:
    *lines, _cut_short = path.read_text(encoding="utf-8").split("\n")
    return (line.split(" ") for line in lines)


def _take(found: Journals, pid: int, running: dict[str, Execution], words: list[str]) -> None:
    match words:
        case ["intent", token, at]:
            found.intents[token] = float(at)
        case ["ack", token, job, _]:
            found.acks[token] = job
        case ["refused" | "cancelling" | "cancelled" as what, token, _]:
            {"refused": found.refused, "cancelling": found.cancelling, "cancelled": found.cancelled}[what].add(token)
        case ["told", token, value, _]:
            found.told.setdefault(token, set()).add(value)
        case ["heard", name, token, value, _]:
            found.heard.setdefault(name, {})[token] = value
        case ["start", token, job, attempt, fence, serial, at]:
            run = Execution(token, job, int(attempt), fence, pid, int(serial), float(at))
            running[serial] = run
            found.executions.append(run)
        case ["end", serial, at]:
            _end(running, serial, float(at))
        case _:
            raise ValueError(f"no line of a journal: {' '.join(words)}")


def _end(running: dict[str, Execution], serial: str, at: float) -> None:
    if serial in running:  # in the journal of a copy, made by a fork in a job, nothing has started
        running[serial].end = at
