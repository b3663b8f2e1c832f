"""A barrier across processes and hosts, to be used as `threading.Barrier` is."""

from __future__ import annotations

import threading

from taskq.broker import calls
from taskq.broker.keys import check_name
from taskq.broker.records import BROKEN
from taskq.errors import SyncError
from taskq.steps import Steps, awalk, walk
from taskq.sync import steps
from taskq.sync.lock import LEASE, check_count, check_lease, patience
from taskq.sync.steps import Carrier
from taskq.units import Duration


class BrokenBarrier(SyncError, threading.BrokenBarrierError):
    """The barrier is broken: somebody waited for too long, died, or called `abort`; or it was reset meanwhile."""


class Barrier:
    """Where `n` threads, coroutines or jobs wait for each other, of all processes on all hosts, again and again.

    Made by `app.barrier(name, n)`; all who use it give the same n. If one waits for too long, is interrupted, or dies
    (its process, as with a lock), the barrier is broken for all, and stays so until `reset`.
    """

    def __init__(self, app: Carrier, name: str, n: int, lease: Duration = LEASE):
        self._app = app
        self.name = check_name(name, "barrier name")
        self._lease = check_lease(lease)
        self._sync = f"barrier:{name}"
        self.parties = check_count(n, f"barrier {name!r}", "parties")

    def wait(self, timeout: Duration | None = None) -> int:
        """Wait until all have come. The answer is 0 to n - 1, another for each: the order in which they came.

        Raises BrokenBarrier, which is a threading.BrokenBarrierError: also where not all come in `timeout` seconds.
        Jobs that wait for each other need that many slots at the same time.
        """
        return self._passed(walk(self._app, self._waiting(timeout)))

    async def await_(self, timeout: Duration | None = None) -> int:
        """`wait` for coroutines."""
        return self._passed(await awalk(self._app, self._waiting(timeout)))

    def _waiting(self, timeout: Duration | None) -> Steps[int]:
        return steps.wait(self._app.stakes, self._sync, self.parties, self._lease, patience(timeout))

    def _passed(self, number: int) -> int:
        if number == BROKEN:
            raise BrokenBarrier(
                f"cannot wait at barrier {self.name!r}: it is broken (somebody waited for too long or died, or it was "
                "aborted or reset)\n  hint: barrier.reset() when all are ready to begin anew, or a name for each run"
            )
        return number - 1

    def abort(self) -> None:
        """Break the barrier: whoever waits, or comes, gets BrokenBarrier."""
        self._app.carry(calls.abort(self._sync))

    async def aabort(self) -> None:
        """`abort` for coroutines."""
        await self._app.acarry(calls.abort(self._sync))

    def reset(self) -> None:
        """Begin anew, empty and unbroken. Whoever waits gets BrokenBarrier."""
        self._app.carry(calls.abort(self._sync, anew=True))

    async def areset(self) -> None:
        """`reset` for coroutines."""
        await self._app.acarry(calls.abort(self._sync, anew=True))

    @property
    def broken(self) -> bool:
        """Is it broken?"""
        return self._app.carry(calls.exists(self._app.stakes.broker.key("broken", self._sync)))

    @property
    def n_waiting(self) -> int:
        """How many wait."""
        return self._app.carry(calls.size(self._app.stakes.broker.key("waiters", self._sync)))

    def __repr__(self) -> str:
        return f"<Barrier {self.name} of {self.parties}>"
