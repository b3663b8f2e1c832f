"""The mutants are up to date: what they change is there, and so is the test that must notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults import test_protocol
from tests.faults.mutants import MUTANTS, VARIABLE


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_can_be_switched_in_and_names_its_test(name: str) -> None:
    assert hasattr(test_protocol, MUTANTS[name].caught_by)
    program = (
        "import sys; from tests.faults import mutants; from taskq.broker.scripts import load\n"
        "before = {name: load(name).source for name in sys.argv[1:]}; mutants.switch_in()\n"
        "print(sum(load(name).source != before[name] for name in before))"
    )
    scripts = ["commit", "claim", "enqueue", "heartbeat", "reap"]
    run = subprocess.run(
        [sys.executable, "-c", program, *scripts],
        env={"PYTHONPATH": ":".join(sys.path), VARIABLE: name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert (run.stdout.strip() != "0") == (name not in ("adopt", "retries"))
