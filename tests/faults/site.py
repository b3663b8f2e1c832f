"""A site: one Redis, and worker hosts that reach it each through a proxy of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from tests.faults import journals, mutants
from tests.faults.journals import Execution
from tests.faults.proxy import Proxy
from tests.support.census import one_place, take_census
from tests.support.workers import Worker

APP = "tests.faults.jobs:app"


class Host:
    """A worker behind `proxy`. When it was killed it can be started anew: `workers` are all of its lives."""

    def __init__(self, proxy: Proxy, *flags: str, app: str = APP):
        self.proxy = proxy
        self._flags, self._app = flags, app
        self.workers: list[Worker] = []

    def start(self) -> Worker:
        self.workers.append(Worker(self.proxy.url, *self._flags, app=self._app, taskq=mutants.command()))
        return self.worker

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    @property
    def supervisor(self) -> int:
        return self.worker.process.pid

    def children(self) -> list[int]:
        """The pids of its worker processes; none where it is gone."""
        with suppress(OSError):
            return self.worker.children()
        return []

    def kill(self) -> None:
        """kill -9 of the supervisor, and the kernel kills its children. Returns when it is gone."""
        self.worker.process.kill()
        self.worker.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[list[int]]:
        """The whole host stands still. Gives the pids of its worker processes."""
        children = self.children()
        signal_all([self.supervisor, *children], signal.SIGSTOP)
        try:
            yield children
        finally:
            signal_all([self.supervisor, *children], signal.SIGCONT)

    def close(self) -> None:
        for worker in self.workers:
            worker.__exit__(None, None, None)
        self.proxy.close()


class Site:
    """`broker` reaches the server directly: what the test sees is never cut. Journals are in `folder`.

    `address`: the socket of whichever server is the primary, where there are several.
    """

    def __init__(self, server: Server, folder: Path, address: Path | None = None):
        self.server, self.folder = server, folder
        self._address = address or server.socket
        self.broker = Broker(f"unix://{self._address}?db=0")
        self._hosts: list[Host] = []
        self._proxies: list[Proxy] = []

    def proxy(self) -> Proxy:
        """A way to the server that is not a host's."""
        self._proxies.append(Proxy(self._address))
        return self._proxies[-1]

    def host(self, *flags: str, app: str = APP) -> Host:
        """A host that is not started yet."""
        self._hosts.append(Host(Proxy(self._address), *flags, app=app))
        return self._hosts[-1]

    def ready(self, *flags: str) -> Host:
        """A host that is ready to work."""
        host = self.host(*flags)
        host.start().wait_for("ready")
        return host

    def executions(self, token: str | None = None) -> list[Execution]:
        """All so far, oldest first."""
        return [run for run in journals.read(self.folder).executions if token in (None, run.token)]

    def wait_for(self, executions: int) -> None:
        """Wait until so many have begun."""
        until = Event()
        while len(self.executions()) < executions:
            until.wait(0.02)

    def close(self) -> None:
        for host in self._hosts:
            host.close()
        for proxy in self._proxies:
            proxy.close()
        self.broker.close()


def settle(site: Site) -> None:
    """Nothing is left, and nothing is wrong."""
    census = take_census(site.broker)
    assert one_place(census) == []
    assert not any(census[row] for row in ("ready", "held", "delayed", "jobs", "fenced"))


def pass_time(seconds: float) -> None:
    """How long a fault lasts."""
    Event().wait(seconds)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Those that are there get it."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
