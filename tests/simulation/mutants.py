"""The protocol with one of its rules taken out, on purpose. The judge counts only if it notices.

`python -m tests.simulation.mutants` says for each in how many of ten plays it is noticed, and at which step first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from taskq.broker import embedded
from tests.simulation.judge import Broken
from tests.simulation.play import RULES
from tests.simulation.stage import perform

PLAYS, STEPS = 10, 10_000


@dataclass(frozen=True, slots=True)
class Mutant:
    """`changes`: (script, words, other words), each of which must be there. `unruly`: the rules that actors leave out.

    `notice`: what the judge says. In the play of `seed` it says so within `steps`: seeds go stale when anything that
    draws by chance is changed.
    """

    notice: str
    seed: int
    steps: int
    changes: Sequence[tuple[str, str, str]] = ()
    unruly: frozenset[str] = frozenset()

    def change(self, name: str, source: str) -> str:
        for script, words, others in self.changes:
            if script == name:
                assert words in source, f"{name} has no {words!r}: the mutant is out of date"
                source = source.replace(words, others)
        return source

    def perform(self, url: str | None, seed: int, steps: int) -> str:
        """What the judge says to a play without the rule: "" where nothing was noticed."""
        try:
            perform(url, seed, steps, rules=RULES - self.unruly, change=self.change)
        except Broken as broken:
            return str(broken).splitlines()[-1]
        return ""


LEASE = ("local lease = lease_of(epoch)", "local lease = 'ok'")
MINE = ("if mine and not before then", "if not before then")
KNOWN = ("if redis.call('EXISTS', RESULT .. id) == 0 then", "if true then")
NEW = ("elseif store(id, ARGV[i + 1]) == 1 then", "elseif redis.call('HSET', JOBS, id, ARGV[i + 1]) then")
GUARD = ("if stamp - last > tonumber(ARGV[2]) or stamp < last then", "if false then")
OPEN = ("not known or redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0", "true")
LEASED = ("2 + 2 * lanes, lease_of(epoch), {}", "2 + 2 * lanes, 'ok', {}")
MUTANTS = {
    "a commit that does not ask whether the job is held": Mutant(
        "accepted", 34, 600, [("commit", "local mine = holds[(i + 2) / 4]", "local mine = true")]
    ),
    "a retry that does not ask whether the job is held": Mutant("accepted", 36, 1800, [("retry", *MINE)]),
    "a process that does not compare its books": Mutant("before it knew", 13, 400, unruly=frozenset({"adopt"})),
    "a claim that is sent again": Mutant("before it knew", 22, 1600, unruly=frozenset({"claim once"})),
    "an enqueue that stores what it has stored": Mutant(
        "it has a life", 2, 400, [("enqueue", *KNOWN), ("enqueue", *NEW)]
    ),
    "a victim that is forgotten while it holds jobs": Mutant(
        "held by nobody", 58, 4100, [("reap", "if left == 0 then", "if true then")]
    ),
    "a heartbeat that takes an outage for deaths": Mutant("it was not silent", 10, 1100, [("heartbeat", *GUARD)]),
    "a claim that does not ask for the lease": Mutant(
        "jobs for the dead", 13, 300, [("claim", *LEASED), ("unpark", *LEASE)]
    ),
    "a claim that does not ask whether the queue is paused": Mutant("a paused queue", 3, 1100, [("claim", *OPEN)]),
}


def main() -> None:
    with embedded.temporary() as server:
        for name, mutant in MUTANTS.items():
            said = [mutant.perform(server.url, seed, STEPS) for seed in range(1, PLAYS + 1)]
            steps = sorted(int(step) for words in said for step in re.findall(r"step (\d+)", words)[:1])
            first = f"first at step {steps[0]}, half of them by step {steps[len(steps) // 2]}" if steps else ""
            print(f"{name}: noticed in {len(steps)} of {PLAYS} plays {first}", flush=True)


if __name__ == "__main__":
    main()
