"""The server of the long storm: one with a replica, and with a clock that can be moved. More can befall it.

proxies --> address --> primary ----> replica
                          '--- clock ---'
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from taskq.broker import embedded
from taskq.broker.embedded import Server
from tests.faults import server
from tests.faults.server import Done
from tests.faults.site import Site
from tests.support import aof
from tests.support.moved_clock import MovedClock
from tests.support.pair import Pair, pair

HOUR = 3600


class Realm:
    """`site` works on whichever server is the primary. `clock` is None where there is no C compiler."""

    def __init__(self, servers: Pair, clock: MovedClock | None, folder: Path):
        self._servers, self._clock = servers, clock
        self._ahead = self._furthest = 0
        self.site = Site(servers.primary, folder, servers.address)

    def faults(self) -> dict[str, Callable[[Server, Random], Done]]:
        """All that can befall it."""
        more = {"promote": self._promote} | ({"jump": self._jump} if self._clock else {})
        return {**server.FAULTS, **more}

    def mend(self) -> None:
        """What was delayed while the clock was ahead is due when it is as far ahead again."""
        if self._clock is not None:
            self._clock.jump(self._furthest - self._ahead)

    def _jump(self, _: Server, chance: Random) -> Done:
        assert self._clock is not None
        by = chance.choice([HOUR, -HOUR])
        self._clock.jump(by)
        self._ahead += by
        self._furthest = max(self._furthest, self._ahead)
        return Done("the server's clock jumped by an hour")

    def _promote(self, _: Server, chance: Random) -> Done:
        """The primary is lost, and what its replica did not hear of; or nothing, where it was level."""
        servers, lossy = self._servers, chance.random() < 0.5
        path = aof.live(servers.primary.folder)
        size = path.stat().st_size  # up to here the replica is level; of the rest it may have heard, or not
        servers.level()
        if not lossy:
            servers.hush()
        servers.part()
        time.sleep(chance.uniform(0, 0.2) if lossy else 0)
        servers.primary.kill()
        lost = aof.since(path, size) if lossy else aof.Torn((), ())
        servers.change_over()
        self.site.server = servers.primary
        servers.replica.start()
        servers.follow()
        how = f", {len(lost.dropped)} commands were lost" if lossy else ", nothing was lost"
        return Done(f"a replica was promoted{how}", lost.enqueued, lost.touched)


@contextmanager
def realm(folder: Path, tools: Path) -> Iterator[Realm]:
    """Journals go to `folder`; `tools` is for what has to be compiled."""
    binary = embedded.find_server()
    clock = MovedClock(tools) if binary and shutil.which("cc") else None
    with pair(clock.wrap(binary) if clock and binary else None, **server.debugging(binary)) as servers:
        realm = Realm(servers, clock, folder)
        try:
            yield realm
        finally:
            realm.site.close()
