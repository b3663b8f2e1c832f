"""Group commit: what became of many jobs, as few calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.lifecycle import Bury, Delay, Finish, Park
from taskq_workers.outcomes import Settled

MOST = 512
MOST_BYTES = 4 << 20
_BUCKETS = [f"b{octave}" for octave in range(64)]


def commits(epoch: str, settled: Sequence[Settled]) -> tuple[list[Call[tuple[bytes, ...]]], list[Settled]]:
    """Calls that write the first of `settled`, as many as fit, and which these are. Each answers what was dropped.

    They go out in another order than `settled` is in. But a death of which another job has heard already is the last of
    them, so that nothing that follows from it is written sooner.
    """
    batch = _first(settled)
    done = [s for s in batch if isinstance(s.step, Finish)]
    late = [(s, s.step) for s in batch if isinstance(s.step, Delay)]
    dead = [s for s in batch if isinstance(s.step, Bury)]
    away = [(s, s.step) for s in batch if isinstance(s.step, Park)]
    requests: list[Call[Any]] = []
    if done:
        requests.append(calls.commit(epoch, [(s.member, s.ttl, bucket(s.seconds), s.record) for s in done]))
    if late:
        requests.append(calls.retry(epoch, [(s.member, step.seconds, s.history) for s, step in late]))
    if dead:
        requests.append(calls.bury(epoch, [(s.member, s.record, s.history) for s in dead]))
    if away:
        requests.append(calls.park(epoch, away[0][1].seconds, [s.member for s, _ in away]))
    return requests, batch


def _first(settled: Sequence[Settled]) -> list[Settled]:
    size = 0
    batch: list[Settled] = []
    for one in islice(settled, MOST):
        size += len(one.record)
        if batch and size > MOST_BYTES:
            break
        batch.append(one)
        if one.heard and isinstance(one.step, Bury):
            break
    return batch


def bucket(seconds: float) -> str:
    """The name of the counter for run times up to the next power of two of microseconds: "b10" is 512 to 1023."""
    return _BUCKETS[min(63, int(seconds * 1e6).bit_length())]
