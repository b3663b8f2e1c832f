"""A primary and a replica of it behind one address, as a failover by DNS or by a virtual IP has them.

    address (a symbolic link to a socket)  ---->  primary  --- asynchronous --->  replica
                                                     ^------- roles change -------^

Who connects to `url` reaches what the link names at that moment; a connection stays with the server it was made to.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from taskq.broker.embedded import Server
from tests.support.servers import ask, server_or_skip

_SETTINGS = {"appendonly": "yes", "appendfsync": "always", "bind": "127.0.0.1", "repl-diskless-sync": "no"}


class Pair:
    """`primary` is what the `address` leads to; `replica` follows it, unless it was parted or killed."""

    def __init__(self, primary: Server, replica: Server, link: Path):
        self.primary, self.replica, self.address = primary, replica, link
        self.url = f"unix://{link}?db=0"
        self.point_at(primary)
        self.follow()

    def follow(self) -> None:
        """The replica copies the primary, and forgets whatever it had; returns when it is level."""
        port = ask(self.primary.url, "CONFIG GET port").split()[-1]
        # In one write: a primary that was hushed must be a replica before it may go on.
        assert ask(self.replica.url, f"REPLICAOF 127.0.0.1 {port}\r\nCLIENT UNPAUSE").split() == ["+OK", "+OK"]
        self.level()

    def level(self, within: float = 20.0) -> None:
        """Return when the replica has all that was written until now."""
        until, wanted = time.monotonic() + within, int(_replication(self.primary)["master_repl_offset"])
        while not _has(_replication(self.replica), wanted):
            assert time.monotonic() < until, "the replica does not catch up"

    def hush(self) -> None:
        """The primary carries out nobody's writes any more, and the replica is level: now nothing would be lost."""
        assert ask(self.primary.url, "CLIENT PAUSE 20000 WRITE") == "+OK"
        self.level()

    def part(self) -> None:
        """The replica becomes a primary, nobody knows of it yet: from now on writes stay with the old one."""
        assert ask(self.replica.url, "REPLICAOF NO ONE") == "+OK"

    def change_over(self) -> None:
        """The address leads to the other server."""
        self.primary, self.replica = self.replica, self.primary
        self.point_at(self.primary)

    def point_at(self, server: Server) -> None:
        """New connections reach `server`."""
        new = self.address.with_suffix(".new")
        new.symlink_to(server.socket)
        new.replace(self.address)


@contextmanager
def pair(binary: str | None = None, **settings: str) -> Iterator[Pair]:
    """Two servers of their own that are level."""
    with TemporaryDirectory(prefix="taskq-") as folder, ExitStack() as servers:
        one, other = (
            servers.enter_context(server_or_skip(binary, **_SETTINGS, **settings, port=str(_free_port())))
            for _ in range(2)
        )
        yield Pair(one, other, Path(folder) / "redis.sock")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _replication(server: Server) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):(\S+)", ask(server.url, "INFO replication"), re.MULTILINE))


def _has(replica: dict[str, str], offset: int) -> bool:
    return replica["master_link_status"] == "up" and int(replica["slave_repl_offset"]) >= offset
