"""`python -m tests.faults`: the storm, as long as it is asked for, and what was seen. `make chaos` runs it."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults import journals, mutants
from tests.faults.realm import realm
from tests.faults.storm import Plan, Storm
from tests.faults.verdict import Evidence, Verdict, judge

SHOWN = 30


def main() -> int:
    """Blow, judge, tell; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=300.0, help="jobs a second, from all producers together")
    parser.add_argument("--seed", type=int, default=None, help="of the faults and the jobs; drawn and printed if none")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    mutants.switch_in()
    print(f"seed {seed}, {asked.minutes:g} minutes, {asked.rate:g} jobs a second", flush=True)
    with (
        TemporaryDirectory(prefix="taskq-") as folder,
        TemporaryDirectory(prefix="taskq-") as tools,
        realm(Path(folder), Path(tools)) as home,
    ):
        os.environ[journals.FOLDER] = folder
        began = time.monotonic()
        storm = Storm(home.site, Plan(seconds=asked.minutes * 60, seed=seed, rate=asked.rate), home.faults(), home.mend)
        evidence = storm.run()
        verdict = judge(evidence)
        print(report(evidence, verdict, storm.memory, time.monotonic() - began))
    return 1 if verdict.findings else 0


def report(seen: Evidence, verdict: Verdict, memory: tuple[int, int], took: float) -> str:
    """All that was counted, and the findings."""
    known, before, after = seen.journals, *memory
    ends = Counter(final.error or "returned" for final in seen.finals.values() if final is not None)
    kinds = Counter(fault.what.split(" for ")[0].split(" (")[0].lstrip("0123456789 ") for fault in seen.faults)
    lines = [
        f"took                     {took:.0f} s",
        f"jobs                     {len(known.intents)}, of which acknowledged {len(known.acks)}, "
        f"refused {len(known.refused)}, cancelled {len(known.cancelled)}",
        f"outcomes                 {', '.join(f'{what} {many}' for what, many in ends.most_common())}",
        f"executions               {len(known.executions)}",
        f"data in Redis            {before / 1e3:.0f} kB before, {after / 1e3:.0f} kB after",
        f"faults                   {len(seen.faults)}",
        *[f"    {many:5}  {what}" for what, many in sorted(kinds.items())],
        verdict.summary(),
        *[f"! {finding}" for finding in verdict.findings[:SHOWN]],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
