"""`python -m tests.faults.hunt`: is each mutant caught by the test that guards its rule? `make mutants` runs it.

First all those tests must pass without any mutant. A mutant that survives is the end of it: exit code 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.faults.mutants import MUTANTS, VARIABLE


def main() -> int:
    """Print a line for each mutant."""
    tests = " or ".join(mutant.caught_by for mutant in MUTANTS.values())
    if not passes(tests, ""):
        print("the tests fail without any mutant")
        return 1
    survivors = [name for name in MUTANTS if not caught(name)]
    print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants were caught")
    return 1 if survivors else 0


def caught(name: str) -> bool:
    mutant, began = MUTANTS[name], time.monotonic()
    survived = passes(mutant.caught_by, name)
    verdict = "SURVIVED" if survived else f"caught in {time.monotonic() - began:.0f} s"
    print(f"{name:10} {verdict:14} by {mutant.caught_by}\n{'':10} without {mutant.without}", flush=True)
    return not survived


def passes(tests: str, mutant: str) -> bool:
    """Do these tests pass with this mutant? Neither where they could not be run."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/faults", "-k", tests]
    run = subprocess.run(command, env={**os.environ, VARIABLE: mutant}, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise SystemExit(f"pytest ended with {run.returncode}:\n{run.stdout[-3000:]}")
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
