"""A sentinel, a primary and a replica, each in a process of its own, all of them with passwords."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskq.broker import embedded
from taskq.broker.embedded import Server
from tests.support.servers import server_or_skip

PASSWORD, SENTINEL_PASSWORD = "primary-secret", "sentinel-secret"
_CONFIG = """
port {port}
bind 127.0.0.1
dir {folder}
requirepass {sentinel_password}
sentinel monitor main 127.0.0.1 {primary} 1
sentinel auth-pass main {password}
sentinel down-after-milliseconds main 400
sentinel failover-timeout main 3000
"""


@dataclass(frozen=True, slots=True)
class Service:
    """`primary` and `replica` as they were at first."""

    primary: Server
    replica: Server
    ports: tuple[int, int]
    port: int

    @property
    def url(self) -> str:
        return f"sentinel://:{PASSWORD}@127.0.0.1:{self.port}/main?sentinel_password={SENTINEL_PASSWORD}"

    def ask(self, port: int, *commands: str) -> str:
        """What inline commands answer at a port, the greetings aside."""
        password = SENTINEL_PASSWORD if port == self.port else PASSWORD
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line, line.makefile("rb") as replies:
            line.sendall("".join(f"{word}\r\n" for word in (f"AUTH {password}", *commands)).encode())
            line.shutdown(socket.SHUT_WR)
            return replies.read().decode()

    def knows_its_replica(self) -> bool:
        found = self.ask(self.port, "SENTINEL replicas main")
        return "master-link-status\r\n$2\r\nok" in found

    def fail_over(self) -> None:
        """kill -9 of the primary. Returns at once: the sentinel notices."""
        self.primary.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def service() -> Iterator[Service]:
    """Skips where the server's binary cannot be a sentinel."""
    binary = embedded.find_server()
    if binary is None:
        pytest.skip(embedded.HINT)
    ports = free_port(), free_port()
    with ExitStack() as stack:
        settings = {"requirepass": PASSWORD, "masterauth": PASSWORD, "repl_diskless_sync_delay": "0"}
        servers = [stack.enter_context(server_or_skip(port=str(port), **settings)) for port in ports]
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="taskq-")))
        made = Service(servers[0], servers[1], ports, free_port())
        made.ask(ports[1], f"REPLICAOF 127.0.0.1 {ports[0]}")
        _until(lambda: "master_link_status:up" in made.ask(ports[1], "INFO replication"))
        config = folder / "sentinel.conf"
        config.write_text(
            _CONFIG.format(
                port=made.port,
                folder=folder,
                primary=ports[0],
                password=PASSWORD,
                sentinel_password=SENTINEL_PASSWORD,
            )
        )
        stack.enter_context(_sentinel(binary, config))
        _until(lambda: _listens(made.port))
        _until(made.knows_its_replica)
        yield made


@contextmanager
def _sentinel(binary: str, config: Path) -> Iterator[None]:
    process = subprocess.Popen([binary, config, "--sentinel"], stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(true: Callable[[], bool], within: float = 20) -> None:
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, f"{true} is not true after {within:g} s"
        time.sleep(0.02)
