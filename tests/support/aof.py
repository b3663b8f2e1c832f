"""The append-only file of a server: what stands in it, and how to tear its tail.

    MULTI  ZADD held ..  LPOP ready ..  EXEC     one unit: a script, replayed as a whole or not at all
    RPUSH wake ..                                one unit: a script with a single write
    MULTI  HSETNX jobs ..  RPU                   what a power cut leaves: the server cuts it off when it starts

A kill -9 tears nothing that was acknowledged: the kernel has it. A disk that lied about an fsync does, and so it is
done here, while the server is down.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Where = Literal["between", "command", "transaction"]
"""Where a tail is torn: between two units, within the first command of a unit, within a script that has written."""
PLACES: tuple[Where, ...] = get_args(Where)
_AFTER_SNAPSHOT = b"*2\r\n$6\r\nSELECT\r\n"
_MEMBER = re.compile(rb"(.{16})[A-Za-z0-9_.\-]+:[a-z]+(:\d)?", re.DOTALL)
_RESULT = re.compile(rb"\{.*\}:result:(.{16})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the file, with the bytes it stands at."""

    start: int
    end: int
    words: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Torn:
    """What a tear took. `half`: the commands that were left of a script without its EXEC."""

    dropped: tuple[Command, ...]
    half: tuple[Command, ...]

    @property
    def enqueued(self) -> frozenset[bytes]:
        """Ids of the jobs whose enqueue is gone, or half of it. Only these may be missing."""
        return _enqueued([*self.dropped, *self.half])

    @property
    def touched(self) -> frozenset[bytes]:
        """Ids of all jobs that moved in what is gone: their moves are undone, so they may run again."""
        return frozenset(job for command in (*self.dropped, *self.half) for job in _jobs_of(command))


def live(folder: Path) -> Path:
    """The file that the server of `folder` appends to."""
    parts = sorted((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
    return parts[-1] if parts else folder / "appendonly.aof"


def units(path: Path) -> list[list[Command]]:
    """What the file replays, in order: each script as one unit of MULTI, its writes and EXEC."""
    found: list[list[Command]] = []
    inside = False
    for command in _commands(path.read_bytes()):
        if inside:
            found[-1].append(command)
        else:
            found.append([command])
        inside = (inside or command.words[0].upper() == b"MULTI") and command.words[0].upper() != b"EXEC"
    return found


def tear(folder: Path, where: Where, chance: random.Random, most: int = 20) -> Torn:
    """Cut the tail off the file of a server that is down, by at most the last `most` units that fit `where`."""
    path = live(folder)
    found = units(path)
    fitting = [unit for unit in found if where != "transaction" or len(unit) > 3][-most:]
    unit = chance.choice(fitting)
    at = {"between": 0, "command": 0, "transaction": chance.randrange(2, len(unit)) if len(unit) > 3 else 0}[where]
    command = unit[at]
    cut = command.start if where == "between" else chance.randrange(command.start + 1, command.end)
    os.truncate(path, cut)
    dropped = [gone for unit in found for gone in unit if gone.end > cut]
    return Torn(tuple(dropped), tuple(unit[1:at]))


def since(path: Path, start: int) -> Torn:
    """What was appended from byte `start` on, as if it had been torn off."""
    with path.open("rb") as file:
        file.seek(start)
        return Torn(tuple(_commands(file.read())), ())


def _commands(data: bytes) -> Iterator[Command]:
    """Every whole command. A snapshot before them (Redis 6.2 after a rewrite) is passed over."""
    at = 0 if data.startswith(b"*") or not data else data.index(_AFTER_SNAPSHOT)
    while at < len(data):
        end, words = data.index(b"\r\n", at) + 2, []
        for _ in range(int(data[at + 1 : end])):
            start = data.index(b"\r\n", end) + 2
            size = int(data[end + 1 : start])
            words.append(data[start : start + size])
            end = start + size + 2
        yield Command(at, end, tuple(words))
        at = end


def _enqueued(commands: list[Command]) -> frozenset[bytes]:
    return frozenset(
        command.words[2]
        for command in commands
        if command.words[0].upper() == b"HSETNX" and command.words[1].endswith(b":jobs")
    )


def _jobs_of(command: Command) -> Iterator[bytes]:
    for word in command.words[1:]:
        found = _MEMBER.fullmatch(word) or _RESULT.fullmatch(word)
        if found:
            yield found[1]
        elif len(word) == 16:
            yield word
