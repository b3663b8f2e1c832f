"""Real Redis servers for tests, spoken to without any client library."""

from __future__ import annotations

import os
import select
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from taskq.broker import embedded


@contextmanager
def server_or_skip(binary: str | None = None, **settings: str) -> Iterator[embedded.Server]:
    """A temporary server; where there is no binary, the test is skipped with the line that says what to install."""
    with embedded.temporary(server_binary_or_skip(binary), **settings) as server:
        yield server


def server_binary_or_skip(binary: str | None = None) -> str:
    """`binary`, or the path of this machine's server; skips where there is none."""
    return binary or embedded.find_server() or pytest.skip(embedded.HINT)


def binaries() -> dict[str, str]:
    """Every kind of server binary of this machine, by name: the system's, and the one in the wheel."""
    found = {"system": shutil.which("redis-server", path=os.defpath), "valkey": shutil.which("valkey-server")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        found["wheel"] = embedded.find_server()
    return {name: path for name, path in found.items() if path}


def kinds() -> list[str]:
    """Keys of `binaries` to run slow tests with: one, or with TASKQ_TEST_SERVERS=all each of this machine."""
    found = sorted(binaries()) or ["none"]
    return found if os.environ.get("TASKQ_TEST_SERVERS") == "all" else found[:1]


def ask(url: str, command: str) -> str:
    """The reply to one inline command, as it came, from the server at a `unix://` URL."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(unquote(urlsplit(url).path))
        connection.sendall(f"{command}\r\nQUIT\r\n".encode())
        with connection.makefile("rb") as replies:
            return replies.read().decode().removesuffix("+OK\r\n").strip()


def free_port() -> int:
    """A TCP port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pid_of(url: str) -> int:
    """Process id of the server at `url`."""
    fields = dict(line.split(":", 1) for line in ask(url, "INFO server").splitlines() if ":" in line)
    return int(fields["process_id"])


def parent_of(pid: int) -> int:
    """Process id of the parent of `pid` (Linux)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def ends(pid: int, within: float = 20) -> Iterator[None]:
    """Assert that process `pid` ends during the block or at most `within` seconds after it (Linux)."""
    fd = os.pidfd_open(pid)
    try:
        yield
        assert select.select([fd], [], [], within)[0], f"process {pid} still runs"
    finally:
        os.close(fd)
