"""Where jobs stand that are neither in line nor in anybody's hands: delayed, parked, dead; and the way back."""

from __future__ import annotations

import pytest

from taskq.broker import calls
from tests.support.bench import Bench, body, member

DAY = 86400


# retry


def test_retry_puts_the_job_aside_until_its_delay_is_over_and_keeps_its_history(bench: Bench) -> None:
    bench.hold("a")
    assert bench.retry("a", delay=10, history=b"once") == ""
    assert (bench.held(), bench.aside("delayed")) == ("", {"a": bench.clock.now() + 10})
    bench.clock.advance(10)
    bench.promote()
    (job,) = bench.claim_all().jobs
    assert (job.body, job.history) == (body("a"), b"once")


def test_a_resent_retry_changes_nothing(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=10, history=b"once")
    bench.clock.advance(5)
    assert bench.retry("a", delay=10, history=b"twice") == "a"
    assert bench.stored("attempts", "a") == b"once"
    assert bench.aside("delayed") == {"a": bench.clock.now() + 5}
    assert bench.counters()["retried"] == 1


def test_a_repeated_retry_or_bury_is_not_called_dropped(bench: Bench) -> None:
    bench.hold("a b")
    bench.retry("a", history=b"once")
    bench.bury("b", record=b"failed")
    assert (bench.retry("a", history=b"once"), bench.bury("b", record=b"failed")) == ("", "")
    assert "dropped" not in bench.counters()


def test_a_resent_retry_ends_what_was_torn_off_before_the_job_had_left_its_holder(bench: Bench) -> None:
    bench.hold("a")
    (held,) = bench.ask("ZRANGE", bench.broker.key("held", b"w1"), 0, -1)
    bench.retry("a", delay=10, history=b"once")
    bench.ask("ZADD", bench.broker.key("held", b"w1"), 1, held)
    assert bench.retry("a", delay=10, history=b"once") == ""
    assert (bench.held(), bench.aside("delayed")) == ("", {"a": bench.clock.now() + 10})


def test_the_retry_of_a_fenced_zombie_is_dropped(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    assert bench.retry("a", "w1") == "a"
    assert (bench.line(), bench.aside("delayed"), bench.stored("attempts", "a")) == ("a", {}, None)


def test_a_job_keeps_its_priority_through_a_retry(bench: Bench) -> None:
    bench.hold("a", route="default:io:8")
    bench.run(calls.retry("w1", [(member("a", "default:io:8"), 0, b"1")]))
    bench.promote()
    assert bench.line("default:io:8") == "a"


# bury


def test_bury_keeps_the_body_and_stores_the_record_for_ever(bench: Bench) -> None:
    bench.hold("a")
    bench.wait_for("a")
    assert bench.bury("a", record=b"failed for good", history=b"thrice") == ""
    assert (bench.stored("jobs", "a"), bench.stored("attempts", "a")) == (body("a"), b"thrice")
    assert (bench.stored("result", "a"), bench.lasts("a")) == (b"failed for good", None)
    assert (bench.held(), bench.aside("dead"), bench.told()) == ("", {"a": bench.clock.now()}, "a")


def test_a_resent_bury_changes_nothing(bench: Bench) -> None:
    bench.hold("a")
    bench.bury("a", record=b"first")
    assert bench.bury("a", record=b"second") == "a"
    assert (bench.stored("result", "a"), bench.counters()["dead"]) == (b"first", 1)


def test_the_bury_of_a_fenced_zombie_is_dropped(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    assert bench.bury("a", "w1") == "a"
    assert (bench.line(), bench.aside("dead"), bench.stored("result", "a")) == ("a", {}, None)


# give back


def test_give_back_restores_the_order_at_the_head(bench: Bench) -> None:
    bench.enqueue("a b c d e")
    bench.claim(io=4)
    assert bench.give_back("b c d") == 3
    assert (bench.line(), bench.held()) == ("b c d e", "a")


def test_give_back_puts_each_job_in_its_own_line(bench: Bench) -> None:
    bench.hold("a")
    bench.hold("h", route="default:io:9")
    assert bench.run(calls.give_back("w1", [member("a"), member("h", "default:io:9")])) == 2
    assert (bench.line(), bench.line("default:io:9")) == ("a", "h")


def test_give_back_counts_nothing(bench: Bench) -> None:
    bench.hold("a")
    bench.give_back("a")
    (job,) = bench.claim_all().jobs
    assert (job.history, job.losses) == (None, 0)


def test_a_resent_give_back_changes_nothing(bench: Bench) -> None:
    bench.hold("a b")
    bench.give_back("a b")
    assert bench.give_back("a b") == 0
    assert bench.line() == "a b"


def test_the_give_back_of_a_fenced_zombie_changes_nothing(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    bench.register("w2")
    bench.claim("w2")
    assert bench.give_back("a", "w1") == 0
    assert (bench.line(), bench.held("w2")) == ("", "a")


# delays


def test_a_delayed_job_is_promoted_when_it_is_due_and_not_before(bench: Bench) -> None:
    bench.enqueue("a", delay=10)
    bench.clock.advance(9.999)
    assert bench.promote() == pytest.approx(0.001)
    assert bench.line() == ""
    bench.clock.advance(0.001)
    assert bench.promote() is None
    assert (bench.line(), bench.aside("delayed")) == ("a", {})


def test_an_eta_is_a_point_in_the_time_of_the_server(bench: Bench) -> None:
    bench.enqueue("a", eta=bench.clock.now() + 30)
    assert bench.promote() == 30
    bench.clock.advance(30)
    bench.promote()
    assert bench.line() == "a"


def test_an_eta_in_the_past_is_due_at_once(bench: Bench) -> None:
    bench.enqueue("a", eta=bench.clock.now() - DAY)
    bench.promote()
    assert bench.line() == "a"


def test_due_jobs_go_in_line_in_the_order_of_their_due_times(bench: Bench) -> None:
    for name, delay in {"c": 3, "a": 1, "b": 2}.items():
        bench.enqueue(name, delay=delay)
    bench.clock.advance(10)
    bench.promote()
    assert bench.line() == "a b c"


def test_promote_moves_at_most_a_hundred_jobs_of_a_queue_and_says_that_more_are_due(bench: Bench) -> None:
    jobs = [f"j{n:03}" for n in range(150)]
    bench.enqueue(" ".join(jobs), delay=1)
    bench.clock.advance(1)
    assert bench.promote() == 0
    assert bench.line() == " ".join(jobs[:100])
    assert bench.promote() is None
    assert bench.line() == " ".join(jobs)


def test_promote_says_when_the_next_job_of_any_queue_is_due(bench: Bench) -> None:
    assert bench.promote() is None
    bench.enqueue("a", delay=60)
    bench.enqueue("m", "mail:io", delay=20)
    assert bench.promote() == 20


def test_a_delayed_id_is_stored_once(bench: Bench) -> None:
    bench.enqueue("a", delay=10)
    assert bench.enqueue("a", delay=20) == 0
    assert bench.enqueue("a") == 0
    assert (bench.aside("delayed"), bench.line()) == ({"a": bench.clock.now() + 10}, "")


# parked


def test_parked_jobs_are_buried_when_their_patience_ends(bench: Bench) -> None:
    bench.hold("a")
    bench.wait_for("a")
    assert bench.park("a", patience=600) == ""
    assert (bench.held(), bench.aside("parked")) == ("", {"a": bench.clock.now() + 600})
    bench.clock.advance(599)
    assert bench.promote() == 1
    assert bench.place("a") == "parked"
    bench.clock.advance(1)
    assert bench.promote() is None
    assert (bench.place("a"), bench.stored("result", "a"), bench.told()) == ("dead", b"nobody knew the task", "a")
    assert bench.stored("jobs", "a") == body("a")


def test_who_knows_the_task_of_parked_jobs_claims_them(bench: Bench) -> None:
    bench.hold("a b c")
    bench.park("a b")
    bench.register("w2")
    claim = bench.unpark_all("b a", "w2")
    assert [(job.member, job.body) for job in claim.jobs] == [(member("b"), body("b")), (member("a"), body("a"))]
    assert (bench.held("w2"), bench.aside("parked"), bench.line()) == ("b a", {}, "")


def test_a_parked_job_is_claimed_with_its_history(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=0, history=b"once")
    bench.promote()
    bench.claim()
    bench.park("a")
    assert [job.history for job in bench.unpark_all("a").jobs] == [b"once"]


def test_a_parked_job_is_claimed_by_one_worker_only(bench: Bench) -> None:
    bench.hold("a")
    bench.park("a")
    bench.register("w2")
    assert bench.unpark("a", "w1") == "a"
    assert bench.unpark("a", "w2") == ""
    assert (bench.held("w1"), bench.held("w2")) == ("a", "")


def test_a_parked_job_that_was_cancelled_is_not_claimed(bench: Bench) -> None:
    bench.hold("a")
    bench.park("a")
    bench.cancel("a")
    assert bench.unpark("a") == ""


def test_parked_jobs_are_not_for_the_dead(bench: Bench) -> None:
    bench.register("w2")
    bench.hold("a")
    bench.park("a")
    bench.reap("w1")
    assert bench.unpark_all("a", "w1").lease == "fenced"
    bench.clock.advance(15)
    assert bench.unpark_all("a", "w2").lease == "expired"
    assert bench.place("a") == "parked"


def test_the_park_of_a_fenced_zombie_is_dropped(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    assert bench.park("a", "w1") == "a"
    assert (bench.line(), bench.aside("parked")) == ("a", {})


def test_a_resent_park_does_not_renew_the_patience(bench: Bench) -> None:
    bench.hold("a")
    bench.park("a", patience=600)
    bench.clock.advance(100)
    assert bench.park("a", patience=600) == "a"
    assert bench.aside("parked") == {"a": bench.clock.now() + 500}
