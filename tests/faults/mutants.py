"""Mutants: the protocol with one of its rules taken out, on purpose. A harness counts only when it notices.

TASKQ_MUTANT names one; it is switched in where tests start workers (`command`) and in the test process (`switch_in`).
A rule is a few words of a script, or a step of the code; the product knows nothing of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VARIABLE = "TASKQ_MUTANT"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`without`: the rule. `switch`: takes it out of this process. `caught_by`: the test that must fail."""

    without: str
    switch: Callable[[], None]
    caught_by: str


def scripts(*changes: tuple[str, str, str]) -> Callable[[], None]:
    """Change script sources: (path, words, other words), each of which must be there."""

    def switch() -> None:
        from taskq.broker import scripts as module

        read = module._read

        def mutated(path: str) -> str:
            source = read(path)
            for changed, words, others in changes:
                if path == changed:
                    assert words in source, f"{path} has no {words!r}: the mutant is out of date"
                    source = source.replace(words, others)
            return source

        module._read = mutated
        module.load.cache_clear()

    return switch


def step(module: str, name: str, replacement: Callable[..., Any]) -> Callable[[], None]:
    """Replace a method: `module` is "package.module:Class"."""

    def switch() -> None:
        import importlib

        path, owner = module.split(":")
        kind = getattr(importlib.import_module(path), owner)
        assert hasattr(kind, name), f"{module} has no {name}: the mutant is out of date"
        setattr(kind, name, replacement)

    return switch


def _resend(link: Any, *calls: Any) -> Any:
    """What a client with retries does: whatever it was, send it again."""
    from taskq.errors import BrokerUnavailable

    link.send(*calls)
    try:
        return link.receive()
    except BrokerUnavailable:
        link.send(*calls)
        return link.receive()


_HELD = "if redis.call('ZSCORE', held, member) then"

MUTANTS = {
    "fence": Mutant(
        "the fence: a worker process writes outcomes of jobs that it lost",
        scripts(
            ("commit.lua", "local mine = holds[(i + 2) / 4]", "local mine = true"),
            ("retry.lua", _HELD, "if true then"),
            ("bury.lua", _HELD, "if true then"),
            ("give_back.lua", _HELD, "if true then"),
        ),
        "test_a_host_that_was_frozen_for_three_leases_changes_nothing_when_it_is_back",
    ),
    "adopt": Mutant(
        "anti-entropy: what a claim brought whose reply was lost is never found",
        step("taskq_workers.exchange:Exchange", "_compare", lambda self: None),
        "test_jobs_of_a_claim_whose_reply_was_lost_run_all_the_same",
    ),
    "dedupe": Mutant(
        "dedupe: an enqueue that is sent twice stores its job twice",
        scripts(
            ("enqueue.lua", "if redis.call('EXISTS', RESULT .. id) == 0 then", "if true then"),
            ("enqueue.lua", "elseif store(id, ARGV[i + 1]) == 1 then",
             "elseif redis.call('HSET', JOBS, id, ARGV[i + 1]) then"),
        ),
        "test_an_enqueue_whose_reply_was_lost_stores_its_job_once",
    ),
    "victim": Mutant(
        "the patience of reap: a victim is forgotten while it still holds jobs",
        scripts(("reap.lua", "if left == 0 then", "if true then")),
        "test_who_reaps_may_die_midway_and_the_next_goes_on",
    ),
    "outage": Mutant(
        "the outage guard: who could not renew its lease while Redis was away is declared dead",
        scripts(("heartbeat.lua", "if stamp - last > tonumber(ARGV[2]) or stamp < last then", "if false then")),
        "test_nobody_is_declared_dead_for_an_outage_longer_than_the_lease",
    ),
    "liveness": Mutant(
        "the liveness check: a worker process whose lease ran out is handed jobs",
        scripts(("lib/lease.lua", "if not lease then return 'fenced' end", "if true then return 'ok' end")),
        "test_a_frozen_host_is_handed_no_job",
    ),
    "retries": Mutant(
        "the rule that a client never repeats by itself what may not be sent twice",
        step("taskq.broker.link:Link", "exchange", _resend),
        "test_who_waits_is_told_though_the_news_was_lost_on_its_way",
    ),
}  # fmt: skip


def switch_in() -> None:
    """Take out the rule that the environment names, in this process."""
    name = os.environ.get(VARIABLE)
    if name:
        MUTANTS[name].switch()


def command() -> list[str]:
    """How tests start taskq's command line: the mutant of the environment, or the real one."""
    return [sys.executable, "-m", "tests.faults.mutants" if os.environ.get(VARIABLE) else "taskq"]


if __name__ == "__main__":
    from taskq.cli import main

    switch_in()
    main()
