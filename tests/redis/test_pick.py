"""A job that waits for others claims them one by one, wherever they stand in line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from taskq.broker import calls
from tests.support.bench import Bench, body, job_id, member
from tests.support.census import one_place, take_census


@pytest.fixture(autouse=True)
def waiter(bench: Bench) -> None:
    """The job "w", which "w1" runs."""
    bench.hold("w")


def assert_sound(bench: Bench) -> None:
    assert one_place(take_census(bench.broker)) == []


@pytest.mark.parametrize("job", ["a", "b", "c"])
def test_a_job_is_claimed_wherever_it_stands(bench: Bench, job: str) -> None:
    bench.enqueue("a b c")
    pick = bench.pick_all(job)
    assert [(one.member, one.body) for one in pick.claim.jobs] == [(member(job), body(job))]
    assert_sound(bench)
    assert bench.claim().split() == [other for other in "abc" if other != job]


def test_only_in_the_middle_it_leaves_an_empty_place(bench: Bench) -> None:
    bench.enqueue("a b c")
    assert [bench.pick("c"), bench.line()] == ["c", "a b"]
    assert [bench.pick("a"), bench.line()] == ["a", "b"]
    bench.enqueue("d e")
    assert [bench.pick("d"), bench.line()] == ["d", "b d e"]
    assert bench.stored("cancelled", "d") == b"default:io"
    assert bench.claim() == "b e"
    assert bench.stored("cancelled", "d") is None


def test_the_first_that_can_be_had_is_claimed_one_at_a_time(bench: Bench) -> None:
    bench.hold("a")
    bench.enqueue("b", delay=9)
    bench.enqueue("c d")
    assert bench.pick("a b c d") == "c"
    assert bench.pick("a b d") == "d"
    assert bench.pick("a b") == ""


def test_its_troubles_are_told_as_by_a_claim(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=0, history=b"its history")
    bench.promote()
    assert bench.pick_all("a").claim.jobs[0].history == b"its history"


def given_back(bench: Bench) -> None:
    bench.give_back("b")


def reaped(bench: Bench) -> None:
    bench.reap(started="w")
    bench.register("w2")
    assert bench.claim("w2", io=1) == "w"


def retried(bench: Bench) -> None:
    bench.retry("b", delay=0)
    bench.promote()


def revived(bench: Bench) -> None:
    bench.bury("b")
    bench.revive("b")


@pytest.mark.parametrize("back", [given_back, reaped, retried, revived])
def test_back_in_line_it_stands_where_it_stood(bench: Bench, back: Callable[[Bench], None]) -> None:
    bench.enqueue("a b c")
    assert bench.pick("b") == "b"
    back(bench)
    assert_sound(bench)
    assert bench.stored("cancelled", "b") is None
    bench.register("w3")
    assert bench.claim("w3") == "a b c"


def test_an_empty_place_is_no_job_for_an_operator(bench: Bench) -> None:
    bench.enqueue("a b c")
    bench.pick("b")
    assert [row.member for row in bench.run(calls.browse("queued", "default", 0, 9))] == [member("a"), member("c")]
    assert bench.run(calls.purge("default:io")) == (2, 0)
    assert bench.place("b") == "running"
    assert bench.commit("b") == ""
    assert_sound(bench)


def test_a_named_job_that_is_enqueued_again_has_the_place_that_it_left(bench: Bench) -> None:
    bench.enqueue("a b c")
    bench.pick("b")
    bench.commit("b", ttl=0)
    assert bench.enqueue("b") == 1
    assert_sound(bench)
    assert bench.claim() == "a b c"


def test_jobs_of_other_queues_and_of_paused_ones_are_left_in_line(bench: Bench) -> None:
    bench.enqueue("a")
    assert bench.pick("a", queues=("mail",)) == ""
    assert bench.pick("a", queues=()) == ""
    bench.run(calls.pause("default", "me"))
    assert bench.pick("a", queues=("mail", "default")) == ""


def test_a_job_that_was_lost_before_is_left_in_line(bench: Bench) -> None:
    """It may end the process, and the job that waits for it with it."""
    bench.register("doomed")
    bench.hold("a", "doomed")
    bench.reap("doomed", started="a")
    assert bench.pick("a") == ""
    assert bench.claim() == "a"


def test_who_was_declared_dead_gets_nothing(bench: Bench) -> None:
    bench.enqueue("a")
    bench.reap(started="")
    assert bench.pick_all("a").claim.lease == "fenced"


def test_while_the_lease_has_run_out_nothing_is_claimed(bench: Bench) -> None:
    bench.enqueue("a")
    bench.clock.advance(16)
    assert bench.pick_all("a").claim.lease == "expired"
    bench.beat(w1="w")
    assert bench.pick("a") == "a"


# Cycles


def test_a_job_that_waits_for_itself_is_told_so(bench: Bench) -> None:
    assert bench.pick("w") == "w (task.w)"


def test_a_cycle_of_waits_is_named_in_full(bench: Bench) -> None:
    bench.hold("x y")
    bench.enqueue("a")
    assert bench.pick("a x", "w") == "a"
    assert bench.pick("y", "x") == ""
    assert bench.pick("w", "y") == "y (task.y) > w (task.w) > x (task.x)"


def test_who_is_told_of_a_cycle_does_not_wait(bench: Bench) -> None:
    bench.hold("x")
    bench.pick("x", "w")
    assert bench.pick("w", "x") == "x (task.x) > w (task.w)"
    assert bench.stored("waits", "x") is None


def test_who_has_died_waits_no_more(bench: Bench) -> None:
    bench.register("w2")
    bench.hold("x", "w2")
    bench.pick("x", "w")
    bench.reap()
    assert bench.pick("w", "x", epoch="w2") == "w"


@pytest.mark.parametrize("end", [Bench.commit, Bench.bury, Bench.retry])
def test_who_has_ended_waits_no_more(bench: Bench, end: Callable[[Bench, str], str]) -> None:
    bench.hold("x")
    bench.pick("x", "w")
    assert bench.stored("waits", "w") is not None
    assert end(bench, "w") == ""
    assert bench.stored("waits", "w") is None


def test_a_long_chain_is_followed(bench: Bench) -> None:
    jobs = [f"j{number:03}" for number in range(300)]
    bench.enqueue(" ".join(jobs))
    assert bench.claim(io=300) == " ".join(jobs)
    for one, next_ in pairwise(jobs):
        assert bench.pick(next_, one) == ""
    assert len(bench.pick_all(jobs[0], jobs[-1]).cycle) == len(jobs)


def test_a_note_that_is_none_is_passed_over(bench: Bench) -> None:
    bench.hold("x")
    bench.ask("HSET", bench.broker.key("waits"), job_id("x"), b"\xff" * 40)
    assert bench.pick("x", "w") == ""


def test_a_job_that_was_picked_again_goes_on_when_the_retry_before_is_sent_once_more(bench: Bench) -> None:
    """Its answer was lost, or is late; who waits for the job has a connection of its own."""
    bench.hold("a")
    bench.retry("a", delay=0, history=b"once")
    bench.promote()
    assert bench.pick("a") == "a"
    assert bench.retry("a", delay=0, history=b"once") == ""
    assert (bench.place("a"), bench.aside("delayed"), bench.counters()["retried"]) == ("running", {}, 1)
    assert bench.retry("a", delay=0, history=b"twice") == ""
    assert (bench.place("a"), bench.stored("attempts", "a")) == ("delayed", b"twice")
