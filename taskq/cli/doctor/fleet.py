"""Checks of workers and queues."""

from __future__ import annotations

from collections import Counter

from taskq.broker.records import QueueRow
from taskq.cli.doctor.facts import Facts
from taskq.cli.doctor.finding import Finding, ok
from taskq.cli.picture import count, queues_of

_START = "taskq worker -A module:app"


def workers(facts: Facts) -> Finding:
    if facts.alive:
        hosts = {row.info.get("host", "?") for row in facts.alive}
        return ok(f"{_processes(len(facts.alive))} on {count(len(hosts), 'host')}")
    waiting = sum(map(_jobs, facts.queues))
    if waiting:
        return Finding("problem", "none", f"{count(waiting, 'job')} wait, and nobody runs them", _START)
    return Finding("note", "none", "nothing waits, and nothing would run", _START)


def leases(facts: Facts) -> Finding:
    """Supervisors give back what dead processes hold, so it needs one that is alive."""
    late = {row.epoch: len(row.held) for row in facts.workers if row.lease_left <= 0}
    late |= dict.fromkeys(facts.fenced - late.keys(), 0)
    if not late:
        return ok("all are renewed")
    held = sum(late.values())
    value = f"those of {_processes(len(late))} ran out"
    value += f", {count(held, 'job')} held" if held else ""
    if facts.alive:
        return Finding("note", value, "a living supervisor gives their jobs back within a few beats", "look again")
    return Finding("problem", value, "no supervisor is alive to give their jobs back", _START)


def orphans(facts: Facts) -> Finding:
    if not facts.orphans:
        return ok("none")
    return Finding(
        "problem",
        f"{count(sum(facts.orphans.values()), 'job')} held by {', '.join(sorted(facts.orphans))}",
        "who holds them is neither alive nor known to be dead, so nobody gives them back",
        "taskq audit --repair",
    )


def listeners(facts: Facts) -> Finding:
    """Queues in which jobs wait though no worker that lives works on them. Without any worker that is one finding."""
    served = {queue for row in facts.alive for queue in queues_of(row)}
    alone = [queue.name for queue in facts.queues if _jobs(queue) and not queue.paused and queue.name not in served]
    if not alone or not facts.alive:
        return ok("every queue that has jobs" if facts.alive else "there are no workers")
    return Finding(
        "problem",
        f"nobody works on {', '.join(alone)}",
        "their jobs wait for ever",
        f"{_START} --queues {','.join(alone)}",
    )


def paused(facts: Facts) -> Finding:
    found = [queue for queue in facts.queues if queue.paused and _jobs(queue)]
    if not found:
        return ok("no queue that has jobs")
    shown = ", ".join(f"{queue.name} ({count(_jobs(queue), 'job')})" for queue in found)
    why = "their jobs wait until somebody resumes the queue"
    return Finding("warning", shown, why, f"taskq queues resume {found[0].name}")


def parked(facts: Facts) -> Finding:
    found = [queue for queue in facts.queues if queue.parked]
    if not found:
        return ok("none")
    shown = ", ".join(f"{count(queue.parked, 'job')} of {queue.name}" for queue in found)
    return Finding(
        "warning",
        shown,
        "no worker knows their task, or can read them; ten minutes after they were parked they are dead",
        "taskq jobs list --state parked   then start workers whose app has these tasks",
    )


def versions(facts: Facts) -> Finding:
    found = Counter(row.info.get("version", "?") for row in facts.alive)
    shown = ", ".join(f"{version} ({_processes(number)})" for version, number in sorted(found.items()))
    if len(found) > 1:
        return Finding(
            "warning",
            shown,
            "a rolling upgrade looks like this; if it stays so, what one version writes another may not read",
            "upgrade the others: taskq workers list",
        )
    if found and facts.version not in found:
        return Finding(
            "note",
            f"workers {shown}, this {facts.version}",
            "what this taskq enqueues, the workers may not be able to read",
            "upgrade one or the other",
        )
    return ok(shown or facts.version)


def _jobs(queue: QueueRow) -> int:
    return queue.ready + queue.delayed


def _processes(number: int) -> str:
    return f"{number} process" if number == 1 else f"{number} processes"
