"""What can happen to a Redis server: each fault a function that does it, holds it, and takes it back.

All of them work on an `embedded.Server` from outside: through its socket, its process and its files. When one returns
the server answers again, on the same socket. Directed tests say what they want by the arguments; a mixer draws:

    done = chance.choice(list(FAULTS.values()))(server, chance)
    done.what      "the tail was torn within a transaction"
    done.missing   ids of jobs that Redis lost: only these may be missing
    done.undone    ids of jobs whose moves Redis lost: these may run again, whatever became of them

A server for all of them is started by `fragile()`. What needs more than a plain server is apart: a clock that can be
moved (tests/support/moved_clock.py), a primary with a replica (tests/support/pair.py).
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskq.broker import embedded
from taskq.broker.embedded import Server
from tests.support import aof
from tests.support.servers import ask, server_or_skip

DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@dataclass(frozen=True, slots=True)
class Done:
    """What a fault did. The ids are those of jobs, as 16 bytes."""

    what: str
    missing: frozenset[bytes] = frozenset()
    undone: frozenset[bytes] = frozenset()


def fragile(binary: str | None = None, **settings: str) -> AbstractContextManager[Server]:
    """A temporary server with all that the faults need: by default nothing acknowledged is lost with its process."""
    return server_or_skip(binary, **{**DURABLE, **debugging(binary or embedded.find_server()), **settings})


def debugging(binary: str | None) -> dict[str, str]:
    """The setting that allows DEBUG, where the server has one; before Redis 7 it is always allowed."""
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout if binary else ""
    major = re.search(r"v=(\d+)\.", version)
    return {"enable_debug_command": "local"} if major and int(major[1]) >= 7 else {}


# Its process


def crash(server: Server, down: float = 0.0) -> None:
    """kill -9; after `down` seconds it is started on its data."""
    server.kill()
    time.sleep(down)
    server.start()


def tear(server: Server, where: aof.Where, chance: random.Random, most: int = 20) -> aof.Torn:
    """kill -9, and the disk has lost up to `most` of the last scripts, the last of them in part. Started once."""
    server.kill()
    torn = aof.tear(server.folder, where, chance, most)
    server.start()
    return torn


def freeze(server: Server, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after so many seconds."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(server.pid, signal.SIGCONT)


# Its conversations


def forget_scripts(server: Server) -> None:
    """SCRIPT FLUSH: every EVALSHA is NOSCRIPT from now on."""
    _told(server, "SCRIPT FLUSH")


def kill_clients(server: Server) -> int:
    """Close all connections; how many there were."""
    return int(_told(server, "CLIENT KILL TYPE normal SKIPME yes").removeprefix(":"))


def kill_client(server: Server, chance: random.Random) -> None:
    """Close one connection, whosever."""
    found = clients(server)
    if found:  # it may have gone by itself
        ask(server.url, f"CLIENT KILL ID {chance.choice(found)}")


def unblock(server: Server) -> int:
    """End every BLPOP with an error, as an operator or a failover does; how many there were."""
    return sum(ask(server.url, f"CLIENT UNBLOCK {client} ERROR") == ":1" for client in clients(server, blocked=True))


def clients(server: Server, *, blocked: bool = False) -> list[str]:
    """Ids of the connections to the server, or of those that wait in a blocking command."""
    found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in ask(server.url, "CLIENT LIST TYPE normal").splitlines()]
    others = [client for client in found if "id" in client and not client["cmd"].startswith("client")]
    return [client["id"] for client in others if not blocked or "b" in client["flags"]]


def pause(server: Server, seconds: float, what: str = "ALL") -> None:
    """CLIENT PAUSE: nobody is answered (ALL), or nobody who writes (WRITE)."""
    _told(server, f"CLIENT PAUSE {round(seconds * 1000)} {what}")
    time.sleep(seconds)


def hang(server: Server, seconds: float) -> None:
    """DEBUG SLEEP: the server does nothing for so long."""
    _told(server, f"DEBUG SLEEP {seconds:g}")


# What it has


@contextmanager
def squeezed(server: Server) -> Iterator[None]:
    """maxmemory far below what is used: every write that may grow memory is refused."""
    _told(server, "CONFIG SET maxmemory 1")
    try:
        yield
    finally:
        _told(server, "CONFIG SET maxmemory 0")


@contextmanager
def disk_full(server: Server, spare: int = 0) -> Iterator[None]:
    """Its append-only file can grow by `spare` bytes only, as on a full disk (here by a limit on its files).

    With `appendfsync always` it then ends; with `everysec` it refuses writes (MISCONF), as it does with
    `save` once a BGSAVE has failed. Afterwards it has room, and
    runs again.
    """
    files = resource.RLIMIT_FSIZE
    before, path = resource.prlimit(server.pid, files), aof.live(server.folder)
    size = path.stat().st_size if path.exists() else 0
    resource.prlimit(server.pid, files, (size + spare, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(server.pid, files, before)
        server.start()
        while not _writes(server):  # it was about to end
            server.start()


def _writes(server: Server) -> bool:
    with suppress(OSError):
        return bool(ask(server.url, "SET taskq-test-probe x PX 1"))
    return False


@contextmanager
def small_disk(folder: Path, size: str = "16m") -> Iterator[None]:
    """`folder` on a disk of its own of `size`. Skips where this process may not mount."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "taskq", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _told(server: Server, command: str) -> str:
    answer = ask(server.url, command)
    assert not answer.startswith("-"), f"{command}: {answer}"
    return answer


# For a mixer: at most a second or two each, chosen by chance


def _crash(server: Server, chance: random.Random) -> Done:
    down = chance.choice([0.0, chance.uniform(0, 1)])
    crash(server, down)
    return Done(f"the server was killed and was down for {down:.2f} s")


def _tear(server: Server, chance: random.Random) -> Done:
    where, twice = chance.choice(aof.PLACES), chance.random() < 0.5
    torn = tear(server, where, chance)
    if twice:
        crash(server)
    times = "twice" if twice else "once"
    what = f"{len(torn.dropped)} commands were torn off ({where}), the server started {times}"
    return Done(what, torn.enqueued, torn.touched)


def _squeeze(server: Server, chance: random.Random) -> Done:
    seconds = chance.uniform(0.1, 1)
    with squeezed(server):
        time.sleep(seconds)
    return Done(f"no memory for {seconds:.2f} s")


def _disk_full(server: Server, chance: random.Random) -> Done:
    seconds, spare = chance.uniform(0.1, 1), chance.randrange(5000)
    with disk_full(server, spare):
        time.sleep(seconds)
    return Done(f"a full disk for {seconds:.2f} s, after {spare} bytes")


def _kill_clients(server: Server, _: random.Random) -> Done:
    return Done(f"{kill_clients(server)} connections were closed")


def _kill_client(server: Server, chance: random.Random) -> Done:
    kill_client(server, chance)
    return Done("one connection was closed")


def _unblock(server: Server, _: random.Random) -> Done:
    return Done(f"{unblock(server)} blocked clients were unblocked with an error")


def _forget_scripts(server: Server, _: random.Random) -> Done:
    forget_scripts(server)
    return Done("all scripts were forgotten")


def _pause(server: Server, chance: random.Random) -> Done:
    seconds, what = chance.uniform(0.1, 1), chance.choice(["ALL", "WRITE"])
    pause(server, seconds, what)
    return Done(f"clients were paused ({what}) for {seconds:.2f} s")


def _hang(server: Server, chance: random.Random) -> Done:
    seconds = chance.uniform(0.1, 1)
    hang(server, seconds)
    return Done(f"the server slept for {seconds:.2f} s")


def _freeze(server: Server, chance: random.Random) -> Done:
    seconds = chance.uniform(0.1, 2)
    freeze(server, seconds)
    return Done(f"the server was stopped for {seconds:.2f} s")


FAULTS: dict[str, Callable[[Server, random.Random], Done]] = {
    "crash": _crash,
    "disk full": _disk_full,
    "forget scripts": _forget_scripts,
    "freeze": _freeze,
    "hang": _hang,
    "kill client": _kill_client,
    "kill clients": _kill_clients,
    "pause": _pause,
    "squeeze": _squeeze,
    "tear": _tear,
    "unblock": _unblock,
}
