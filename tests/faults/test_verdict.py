"""The judge finds each kind of broken promise, and accuses nobody of what a fault explains."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.journals import Execution, Journals, name_of
from tests.faults.server import Done
from tests.faults.storm import of_the_server
from tests.faults.verdict import KILLED, Evidence, Fault, Final, judge

PID, OTHER = 7, 8
FENCE, OTHER_FENCE = "host-1-abcdef-0", "host-2-abcdef-0"


def run(serial: int = 1, **changes: Any) -> Execution:
    """An execution of the job "a" from second 10 to 11."""
    whole = Execution(token="a", job="A", attempt=1, fence=FENCE, pid=PID, serial=serial, start=10.0, end=11.0)
    return replace(whole, **changes)


def evidence(*runs: Execution, **changes: Any) -> Evidence:
    """One job "a" that was acknowledged as "A", ran, and has the result of its last run."""
    last = runs[-1] if runs else None
    final = Final(value=name_of(last.pid, last.serial)) if last and last.end is not None else None
    journals = Journals(intents={"a": 1.0}, acks={"a": "A"}, executions=list(runs))
    whole = Evidence(journals=journals, faults=(), finals={"a": final}, accepted=Counter({"A": 1}))
    return replace(whole, **changes)


def kill(at: float, pid: int = PID) -> Fault:
    return Fault(what=KILLED, start=at, end=at, pids=frozenset({pid}))


def kinds(seen: Evidence) -> list[str]:
    return [finding.split(":")[0] for finding in judge(seen).findings]


def test_a_job_that_ran_once_is_in_order() -> None:
    assert kinds(evidence(run())) == []


def test_an_acknowledged_job_without_an_outcome_is_lost() -> None:
    assert kinds(evidence()) == ["lost"]


def test_what_redis_lost_is_excused_and_counted() -> None:
    torn = Fault(what="torn", start=1, end=2, missing=frozenset({"A"}))
    verdict = judge(evidence(faults=[torn]))
    assert (verdict.findings, verdict.excused) == ([], {"a"})


def test_a_result_of_an_execution_that_did_not_end_is_foreign() -> None:
    assert kinds(evidence(run(end=None), finals={"a": Final(value="7.1")})) == ["foreign"]


def test_two_accepted_outcomes_are_found() -> None:
    assert kinds(evidence(run(), accepted=Counter({"A": 2}))) == ["two outcomes"]


def test_an_outcome_that_changed_after_somebody_was_told_is_found() -> None:
    seen = evidence(run())
    seen.journals.told["a"] = {"7.1", "9.9"}
    assert kinds(seen) == ["two outcomes"]


def a_mother_told_a_child_of(counts: bool) -> Evidence:
    """Her child's outcome is "7.1"; she was told another one, in the execution that counts or in one before."""
    seen = evidence(run(), finals={"a": Final(value="7.1"), "b": Final(value="8.2")})
    seen.journals.acks["b"] = "B"
    seen.journals.intents["b"] = 1.0
    seen.journals.executions.append(run(2, token="b", job="B", pid=8, fence=FENCE))
    seen.journals.heard["8.2" if counts else "8.1"] = {"a": "9.9"}
    return seen


def test_an_outcome_that_changed_after_a_job_that_waits_was_told_is_found_if_that_execution_counts() -> None:
    assert kinds(a_mother_told_a_child_of(counts=True)) == ["two outcomes"]
    assert kinds(a_mother_told_a_child_of(counts=False)) == []


@pytest.mark.parametrize("how", ["nobody enqueued it", "it was refused", "it was cancelled"])
def test_an_execution_that_should_not_be_is_unexpected(how: str) -> None:
    seen = evidence(run())
    if how == "nobody enqueued it":
        seen.journals.intents.clear()
    (seen.journals.refused if how == "it was refused" else seen.journals.cancelled).add("a")
    if how == "nobody enqueued it":
        seen.journals.cancelled.clear()
    assert kinds(seen) == ["unexpected"]


def test_a_second_execution_without_a_fault_is_a_duplicate() -> None:
    assert kinds(evidence(run(), run(2, start=12.0, end=13.0))) == ["duplicate"]


def test_another_attempt_is_no_duplicate() -> None:
    assert kinds(evidence(run(), run(2, start=12.0, end=13.0, attempt=2))) == []


def test_a_second_execution_after_the_first_process_was_killed_is_in_order() -> None:
    verdict = judge(evidence(run(end=None), run(2, pid=OTHER, start=10.7, end=13.0), faults=[kill(10.5)]))
    assert verdict.findings == []
    assert verdict.duplicates == 1
    assert verdict.back_after == [pytest.approx(0.2)]


@pytest.mark.parametrize("fault", [kill(10.5, OTHER), kill(13.0), kill(1.0)])
def test_the_fault_must_have_touched_that_execution(fault: Fault) -> None:
    assert kinds(evidence(run(), run(2, start=12.0, end=14.0), faults=[fault])) == ["duplicate"]


def test_a_host_that_stood_still_explains_what_its_processes_ran() -> None:
    still = Fault(what="a host stands still", start=10.5, end=20.0, supervisors=frozenset({1}))
    again = run(2, pid=OTHER, fence=OTHER_FENCE, start=15.0, end=16.0)
    assert kinds(evidence(run(end=21.0), again, faults=[still])) == []
    assert kinds(evidence(run(fence=OTHER_FENCE), again, faults=[still])) == ["duplicate"]


def test_a_host_that_stood_still_may_begin_late_what_ran_elsewhere() -> None:
    still = Fault(what="a host stands still", start=5.0, end=12.0, supervisors=frozenset({2}))
    late = run(2, pid=OTHER, fence=OTHER_FENCE, start=12.1, end=12.2)
    assert kinds(evidence(run(), late, faults=[still], finals={"a": Final(value="7.1")})) == []
    later = replace(late, start=19.0, end=19.1)
    assert kinds(evidence(run(), later, faults=[still], finals={"a": Final(value="7.1")})) == ["duplicate"]


def test_an_outage_holds_up_outcomes_until_a_kill_takes_them() -> None:
    outage = Fault(what="the server was killed", start=10.8, end=14.0, everywhere=True)
    again = run(2, pid=OTHER, start=16.0, end=17.0)
    assert kinds(evidence(run(), again, faults=[outage, kill(15.0)])) == []
    assert kinds(evidence(run(), again, faults=[outage])) == ["duplicate"]
    assert kinds(evidence(run(), again, faults=[kill(15.0)])) == ["duplicate"]


def test_what_befell_the_server_for_a_while_held_up_everything() -> None:
    full = Done("a full disk")
    assert of_the_server(full, 10.0, 10.9).everywhere
    assert not of_the_server(full, 10.0, 10.01).everywhere


def test_a_fault_that_came_later_explains_nothing() -> None:
    outage = Fault(what="the server was killed", start=11.5, end=14.0, everywhere=True)
    again = run(2, pid=OTHER, start=13.0, end=13.5)
    assert kinds(evidence(run(), again, faults=[outage, kill(12.5)])) == []
    assert kinds(evidence(run(), again, faults=[outage, kill(13.2)])) == ["duplicate"]


def test_a_job_that_ends_its_process_explains_what_its_neighbours_do_again() -> None:
    neighbour, again = run(end=None), run(2, pid=OTHER, start=12.0, end=13.0)
    hurt = run(3, token="hurt-0-1", job="H", start=10.2, end=None)
    seen = evidence(neighbour, hurt, again)
    seen.journals.intents["hurt-0-1"] = 1.0
    assert kinds(seen) == []


def test_a_job_may_be_buried_when_its_process_died_three_times() -> None:
    deaths = [run(n, pid=n, start=10.0 + n, end=None) for n in (1, 2, 3)]
    faults = [kill(10.5 + n, n) for n in (1, 2, 3)]
    lost = {"a": Final(error="WorkerLost")}
    assert kinds(evidence(*deaths, finals=lost, faults=faults)) == []
    assert kinds(evidence(*deaths[:2], finals=lost, faults=faults)) == ["buried too early"]


def test_what_stands_in_redis_is_told_as_it_was_found() -> None:
    assert judge(evidence(run(), wrong=["in several places: [b'A']"])).findings == ["in several places: [b'A']"]
