"""Locks and semaphores across processes and hosts, to be used as `threading`'s are."""

from __future__ import annotations

from types import TracebackType

from taskq.broker import calls
from taskq.broker.keys import check_name
from taskq.errors import ConfigError, LockLost, shown
from taskq.steps import Steps, awalk, walk
from taskq.sync import steps
from taskq.sync.book import Ticket
from taskq.sync.stakes import Stakes
from taskq.sync.steps import Carrier
from taskq.units import Duration, seconds

LEASE = 15.0
LEAST_LEASE = 0.5
MOST = 10_000


class Held:
    """A place that this process has.

    `fence` is greater than that of every earlier holder. Write it beside what the lock protects, and refuse what comes
    with a smaller one: only that keeps out a holder that stood still, lost the lock, and does not know it yet.
    """

    __slots__ = ("_stakes", "_ticket", "fence", "name")

    def __init__(self, stakes: Stakes, ticket: Ticket):
        self._stakes, self._ticket = stakes, ticket
        self.name = ticket.sync.partition(":")[2]
        self.fence = ticket.fence

    @property
    def lost(self) -> bool:
        """Have others got the place by now, or may they? True once the lease has run out as far as is known here."""
        party = self._ticket.party
        return self._ticket.gone or party.dead or party.deadline <= self._stakes.clock.monotonic()

    def __repr__(self) -> str:
        return f"<Held {self._ticket.sync} fence={self.fence}{' lost' if self.lost else ''}>"


class Places:
    """What locks and semaphores share. An object is a name only: any number of them, anywhere, mean the same places."""

    _kind: str

    def __init__(self, app: Carrier, name: str, places: int, lease: Duration):
        self._app = app
        self.name = check_name(name, f"{self._kind} name")
        self._places = check_count(places, f"{self._kind} {name!r}", "places")
        self._lease = check_lease(lease)
        self._sync = f"{self._kind}:{name}"

    def acquire(self, blocking: bool = True, timeout: Duration | None = None) -> bool:
        """Take a place; the answer is whether there was one in `timeout` seconds (or "10m", ...; None or -1: for ever).

        Who waits does so in line: first come, first served. Raises WouldDeadlock where this thread has all the places
        itself and would wait for ever; LockLost in a worker process that was declared dead; BrokerUnavailable.
        """
        stakes = self._app.stakes
        return walk(self._app, self._acquiring(stakes, patience(timeout, blocking=blocking))) is not None

    async def aacquire(self, blocking: bool = True, timeout: Duration | None = None) -> bool:
        """`acquire` for coroutines: thousands may wait at a time."""
        stakes = self._app.stakes
        return await awalk(self._app, self._acquiring(stakes, patience(timeout, blocking=blocking))) is not None

    def _acquiring(self, stakes: Stakes, timeout: float | None) -> Steps[Ticket | None]:
        return steps.acquire(stakes, self._sync, self._places, self._lease, timeout)

    def release(self) -> None:
        """Give back the place that this thread took last; or, where it has none, that another one of this process took.

        Raises NotHeld; LockLost where others may have had the place meanwhile. Where Redis is away it is given back as
        soon as that answers, and nothing is raised.
        """
        walk(self._app, steps.release(self._app.stakes, self._sync))

    async def arelease(self) -> None:
        """`release` for coroutines."""
        await awalk(self._app, steps.release(self._app.stakes, self._sync))

    @property
    def held(self) -> Held | None:
        """What this thread or coroutine has taken last and not released; None where it has nothing."""
        stakes = self._app.stakes
        mine = stakes.book.holds(self._sync)
        return Held(stakes, mine[-1]) if mine else None

    def in_use(self) -> int:
        """How many places are taken, by anybody."""
        return self._app.carry(calls.size(self._app.stakes.broker.key("holders", self._sync)))

    def _entered(self) -> Held:
        held = self.held
        assert held is not None
        return held

    def __enter__(self) -> Held:
        self.acquire()
        return self._entered()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except LockLost:
            if kind is None:  # what was raised inside says more
                raise

    async def __aenter__(self) -> Held:
        await self.aacquire()
        return self._entered()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.arelease()
        except LockLost:
            if kind is None:
                raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Lock(Places):
    """A lock that one thread or coroutine has at a time, of all processes on all hosts. Made by `app.lock(name)`.

    `with lock as held:` or `async with`. It is not reentrant, as threading.Lock is not. In a job it is held as long as
    its worker process lives, and is free within milliseconds when that dies; in other processes as long as the lease is
    renewed (in the background, three times in a lease), which ends at most a lease after their death.
    """

    _kind = "lock"

    def __init__(self, app: Carrier, name: str, lease: Duration = LEASE):
        super().__init__(app, name, 1, lease)

    def locked(self) -> bool:
        """Does anybody have it?"""
        return self.in_use() > 0


class Semaphore(Places):
    """So many places, of all processes on all hosts. Made by `app.semaphore(name, n)`; all who use it give the same n.

    Otherwise as a Lock: a place is that of who took it, and `release` gives back what was acquired, no more.
    """

    _kind = "semaphore"

    def __init__(self, app: Carrier, name: str, n: int, lease: Duration = LEASE):
        super().__init__(app, name, n, lease)

    @property
    def n(self) -> int:
        """How many places there are."""
        return self._places


def patience(timeout: Duration | None, *, blocking: bool = True) -> float | None:
    """How many seconds to wait: None for ever, 0 not at all."""
    if timeout is None or (timeout == -1 and isinstance(timeout, int | float)):
        return None if blocking else 0.0
    if not blocking:
        raise ConfigError("cannot acquire: blocking=False with a timeout\n  hint: one of them")
    return seconds(timeout, "timeout")


def check_count(n: int, whose: str, of: str) -> int:
    """`n` if that many can be waited for; else ConfigError."""
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise ConfigError(f"cannot make {whose} with {shown(n)} {of}\n  hint: a whole number from 1 to {MOST}")
    return n


def check_lease(lease: Duration) -> float:
    """`lease` in seconds; else ConfigError."""
    length = seconds(lease, "lease")
    if length < LEAST_LEASE:
        raise ConfigError(f"lease {shown(lease)} is too short to be renewed\n  hint: {LEAST_LEASE:g} s or more")
    return length
