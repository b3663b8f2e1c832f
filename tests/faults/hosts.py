"""Several hosts on one machine: each a network namespace with its own address and name, a Redis in one more.

    host 1: supervisor, children   198.18.0.2 ----+
                                                  +---- Network (cable.py) ---- 198.18.0.1:6379   Redis
    host 2: supervisor, children   198.18.0.3 ----+                             redis.sock        the test

The test sees Redis through its Unix socket: what it sees is never cut. Namespaces are named after the test's process;
those of one that was killed are removed by the next.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskq.broker import embedded
from tests.faults.cable import TUN, Cable, Network
from tests.support.workers import TASKQ, Worker, worker

PREFIX = "taskq-"
NAMESPACES = Path("/run/netns")
SERVER = "198.18.0.1"
URL = f"redis://{SERVER}:6379/0"
SYN_SENT = "02"


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `name` is its host name and that of its namespace; `cable` is what ties it to the others."""

    name: str
    cable: Cable

    def worker(self, *flags: str, **options: Any) -> AbstractContextManager[Worker]:
        """A worker on this host that is ready to work."""
        named = ("unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$0" "$@"')
        return worker(URL, *flags, taskq=self.inside(*named, *TASKQ), **options)

    def inside(self, *command: str) -> tuple[str, ...]:
        """`command`, to be run on this host."""
        return ("ip", "netns", "exec", self.name, *command)

    def pids(self) -> list[int]:
        """All processes of this host."""
        return [int(pid) for pid in _ip("netns", "pids", self.name).split()]

    def signal(self, number: signal.Signals, pids: Sequence[int] | None = None) -> None:
        """Send `number` to all processes of this host, or to `pids`."""
        for pid in self.pids() if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def unsent(self) -> int:
        """Bytes that its kernel still tries to bring to Redis, but for attempts to connect."""
        return sum(unacknowledged for state, unacknowledged in self.connections() if state != SYN_SENT)

    def connections(self) -> list[tuple[str, int]]:
        """Its TCP connections to Redis: state (as /proc/net/tcp has it), and how many bytes are not acknowledged."""
        lines = subprocess.run(
            self.inside("cat", "/proc/net/tcp"), capture_output=True, text=True, check=True
        ).stdout.splitlines()
        rows = [line.split() for line in lines[1:]]
        return [(row[3], int(row[4].partition(":")[0], 16)) for row in rows]


@dataclass(frozen=True, slots=True)
class Site:
    """Hosts with one Redis. `url` is how the test reaches it."""

    url: str
    hosts: Sequence[Host]


@contextmanager
def site(hosts: int, seed: int = 1, **settings: str) -> Iterator[Site]:
    """`hosts` hosts and a Redis with `settings`; the test is skipped where they cannot be had."""
    _skip_unless_possible()
    _remove_remains()
    with ExitStack() as stack:
        network = Network(seed)
        stack.callback(network.close)
        server, _ = _plugged(stack, network, 1)
        made = [Host(*_plugged(stack, network, 2 + number)) for number in range(hosts)]
        network.start()
        binary = _redis_inside(stack, server)
        settings = {"port": "6379", "bind": SERVER, "protected_mode": "no", **settings}
        redis = stack.enter_context(embedded.temporary(binary, **settings))
        yield Site(redis.url, made)


def _skip_unless_possible() -> None:
    if shutil.which("ip") is None:
        pytest.skip("hosts need ip (apt install iproute2)")
    if os.geteuid() != 0:
        pytest.skip("hosts need root, for network namespaces")
    if not TUN.exists():
        pytest.skip(f"hosts need {TUN}")
    if embedded.find_server() is None:
        pytest.skip(embedded.HINT)


def _plugged(stack: ExitStack, network: Network, number: int) -> tuple[str, Cable]:
    """A new namespace that has the address with this number, and its cable."""
    name = f"{PREFIX}{os.getpid()}-{number}"
    _ip("netns", "add", name)
    stack.callback(_remove, name)
    cable = network.plug(name, "cable", f"198.18.0.{number}")
    _ip("-n", name, "address", "add", f"198.18.0.{number}/24", "dev", "cable")
    _ip("-n", name, "link", "set", "cable", "up")
    return name, cable


def _redis_inside(stack: ExitStack, namespace: str) -> str:
    """A program that runs the Redis server in `namespace`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
    program, server = folder / "redis-server", embedded.find_server()
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {shlex.quote(str(server))} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _remove_remains() -> None:
    """Remove the namespaces of tests that were killed."""
    for path in NAMESPACES.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(path.name)


def _remove(namespace: str) -> None:
    for pid in _ip("netns", "pids", namespace).split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _ip("netns", "delete", namespace)


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"cannot run ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
