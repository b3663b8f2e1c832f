"""What the log says of one job, its outcome, how long it ran and waited, and which it is; and of trouble with Redis."""

from __future__ import annotations

from typing import Any

from taskq.broker.keys import member_id, member_route, route_queue
from taskq.declaration import LONGEST_NAME
from taskq.errors import TaskqError
from taskq.ids import show
from taskq.lifecycle import Bury, Delay, Finish, Park
from taskq.units import brief
from taskq_workers.outcomes import Settled
from taskq_workers.runner import summary


def log_outcome(log: Any, settled: Settled, written: bool) -> None:
    """One line. `written` is False where the outcome was dropped: this process had lost the job."""
    which = {"job": show(member_id(settled.member)), "queue": route_queue(member_route(settled.member))}
    took, name = brief(settled.seconds), settled.task.rsplit(".", 1)[-1][:LONGEST_NAME] or "job"
    if not written:
        log.warning(name, outcome="dropped", took=took, why="it runs elsewhere, or has an outcome", **which)
        return
    match settled.step:
        case Finish():
            log.info(name, outcome="ok", took=took, wait=brief(settled.waited), **which)
        case Delay(seconds, error):
            again = f"attempt {settled.attempt} failed, again in {brief(seconds)}"
            log.warning(name, outcome="retry", took=took, why=again, error=summary(error), **which)
        case Bury(error):
            log.error(name, outcome="dead", took=took, attempt=settled.attempt, error=summary(error), **which)
        case Park(patience, why):
            reason = why or "this worker does not know the task"
            why = reason if settled.task else "a newer taskq wrote it, upgrade this worker"
            why = f"{why}; offered to others, dead in {brief(patience)}"
            log.warning(settled.task[:LONGEST_NAME] or "job", outcome="parked", why=why, **which)


def tell_trouble(log: Any, who: str, error: TaskqError | None) -> None:
    """Trouble with Redis began (`error`), or is over (None)."""
    if error is not None:
        log.error("redis", who=who, error=str(error), note="trying again until it answers")
    else:
        log.warning("redis", who=who, note="answers again")
