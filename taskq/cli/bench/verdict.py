"""What limits the rate: pure, from what a drain used of what there is.

Load  ->  limit  ->  Verdict (why, and what to do next)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from taskq.cli.bench.figures import Figures
from taskq.cli.picture import count

BUSY = 0.85
"""The share of a core from which on it has no more to give: the rest goes to waiting for the next request."""
CROWDED = 0.90
"""The same of a whole machine."""
STRANGERS = 0.10
"""The share of a machine from which on what others use of it counts."""
FAR = 0.001
"""Seconds of a round trip from which on waiting for it, and not work, is what takes the time."""

Limit = Literal["redis", "machine", "worker", "network", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Cores that Redis (of its one), the worker, and everything on this machine used; None where it is not known.

    `local`: Redis is on this machine. `cores`: those that may be used. `ping`: seconds of a round trip.
    """

    redis: float | None
    worker: float | None
    machine: float | None
    processes: int
    cores: int
    local: bool
    ping: float

    @property
    def usable(self) -> int:
        """Cores that the worker's processes can keep busy."""
        return min(self.processes, self.cores)

    @property
    def ours(self) -> float:
        """Cores of this machine that the worker used, and Redis if it is here."""
        return (self.worker or 0.0) + (self.redis or 0.0 if self.local else 0.0)

    @property
    def busy(self) -> float:
        """Cores of this machine that are known to have been busy."""
        return max(self.ours, self.machine or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What limits, as programs and as people read it, and what to do next."""

    limit: Limit
    why: str
    next: str


def load_of(figures: Figures) -> Load:
    """What the drain used."""
    drain = figures.drain
    return Load(
        redis=drain.cores(drain.redis_cpu),
        worker=drain.cores(drain.worker_cpu),
        machine=drain.cores(drain.machine_cpu),
        processes=figures.worker.processes,
        cores=figures.worker.cores,
        local=figures.redis.local,
        ping=figures.ping.p50,
    )


def limit(load: Load) -> Limit:
    """What has no more to give.

    Redis comes first: where its one core is full, nothing that is done elsewhere helps. Then the machine: on a full
    one, more processes would only take turns.
    """
    if (load.redis or 0.0) >= BUSY:
        return "redis"
    if load.busy >= CROWDED * load.cores:
        return "machine"
    if (load.worker or 0.0) >= BUSY * load.usable:
        return "worker"
    return "network" if load.ping > FAR else "nothing"


def verdict(load: Load) -> Verdict:
    """What limits, in words."""
    found = limit(load)
    match found:
        case "redis":
            why = f"Redis' one core: it was {_share(load.redis)} busy"
            then = "a faster core for Redis, or several namespaces, each on a Redis of its own"
        case "machine":
            why, then = _full(load), _room(load)
        case "worker":
            why = (
                f"the worker's processes: they used {_part(load.worker)} of the {_cores(load.usable)} that they can use"
            )
            then = _more(load)
        case "network":
            why = f"the network between here and Redis: a round trip takes {load.ping * 1000:.1f}ms"
            then = "workers nearer to Redis; or more --procs, or more hosts, which wait at the same time"
        case "nothing":
            why = (
                f"nothing is saturated: Redis was {_share(load.redis)} busy, the worker used {_part(load.worker)} "
                f"of {_cores(load.usable)}; a process waits for Redis between its batches"
            )
            then = f"more processes, whose waiting overlaps: --procs {load.processes + 1}"
        case _:
            assert_never(found)
    return Verdict(limit=found, why=why, next=then)


def _full(load: Load) -> str:
    shares = ", which Redis shares" if load.local else ""
    redis = f", Redis {_part(load.redis)}" if load.local else ""
    return (
        f"this machine's cores{shares}: {load.busy:.1f} of {load.cores} were busy "
        f"(worker {_part(load.worker)}{redis}, others {load.busy - load.ours:.1f})"
    )


def _room(load: Load) -> str:
    if load.busy - load.ours >= STRANGERS * load.cores:
        return "the same again when nothing else runs here"
    if load.local:
        return "Redis on a machine of its own, or a machine with more cores"
    return "workers on more hosts, or a machine with more cores"


def _more(load: Load) -> str:
    if load.processes < load.cores:
        return f"more processes: there are cores for --procs {load.cores}"
    return "workers on more hosts, or a machine with more cores"


def _share(cores: float | None) -> str:
    return "an unknown part" if cores is None else f"{cores:.0%}"


def _part(cores: float | None) -> str:
    return "?" if cores is None else f"{cores:.1f}"


def _cores(number: int) -> str:
    return count(number, "core")
