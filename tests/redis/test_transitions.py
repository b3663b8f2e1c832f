"""A job's way from enqueue to its outcome, one script at a time."""

from __future__ import annotations

import pytest

from taskq.broker import calls
from tests.support.bench import LEASE, ROUTE, Bench, body, job_id, member, members

DAY = 86400


# enqueue


def test_an_id_is_stored_once(bench: Bench) -> None:
    assert bench.enqueue("a b") == 2
    assert bench.enqueue("b c a") == 1
    assert bench.line() == "a b c"


def test_an_id_that_stands_twice_in_one_call_is_stored_once(bench: Bench) -> None:
    assert bench.enqueue("a a") == 1
    assert bench.line() == "a"


def test_a_stored_body_is_never_rewritten(bench: Bench) -> None:
    bench.enqueue("a")
    bench.run(calls.enqueue(ROUTE, [(job_id("a"), b"another body")]))
    assert bench.stored("jobs", "a") == body("a")


def test_an_enqueue_that_is_resent_while_its_job_is_held_is_refused(bench: Bench) -> None:
    bench.hold("a")
    assert bench.enqueue("a") == 0
    assert bench.line() == ""


def test_an_enqueue_that_is_resent_after_its_job_finished_is_refused(bench: Bench) -> None:
    bench.hold("a")
    bench.commit("a")
    assert bench.enqueue("a") == 0
    assert bench.line() == ""


def test_an_id_whose_job_is_dead_is_refused(bench: Bench) -> None:
    bench.hold("a")
    bench.bury("a")
    assert bench.enqueue("a") == 0
    assert bench.line() == ""


def test_an_id_is_taken_again_when_its_outcome_was_not_stored(bench: Bench) -> None:
    bench.hold("a")
    bench.commit("a", ttl=0)
    assert bench.enqueue("a") == 1


def test_enqueue_makes_the_queue_known(bench: Bench) -> None:
    bench.enqueue("a", "mail:cpu")
    bench.enqueue("b", "later:io", delay=5)
    assert sorted(bench.ask("SMEMBERS", bench.broker.key("queues"))) == [b"later", b"mail"]


# order


def test_jobs_of_one_priority_are_claimed_first_in_first_out(bench: Bench) -> None:
    bench.enqueue("a b")
    bench.enqueue("c d")
    assert bench.claim(io=1) == "a"
    assert bench.claim(io=9) == "b c d"


def test_a_higher_priority_is_claimed_sooner(bench: Bench) -> None:
    bench.enqueue("low", "default:io:0")
    bench.enqueue("middle", "default:io")
    bench.enqueue("high", "default:io:9")
    assert bench.claim(io=2) == "high middle"
    assert bench.claim(io=2) == "low"


def test_queues_are_served_in_the_order_of_the_claim(bench: Bench) -> None:
    bench.enqueue("a")
    bench.enqueue("m", "mail:io")
    assert bench.claim(queues=("mail", "default"), io=1) == "m"
    assert bench.claim(queues=("mail", "default"), io=1) == "a"


def test_each_lane_gets_at_most_what_it_wants(bench: Bench) -> None:
    bench.enqueue("a b c")
    bench.enqueue("x y z", "default:cpu")
    assert bench.claim(io=2, cpu=1) == "a b x"


def test_a_lane_that_wants_nothing_gets_nothing(bench: Bench) -> None:
    bench.enqueue("a")
    assert bench.claim(io=0, cpu=3) == ""
    assert bench.line() == "a"


# claim


def test_a_claimed_job_comes_with_its_body_and_stands_in_what_its_epoch_holds(bench: Bench) -> None:
    bench.enqueue("a b")
    claim = bench.claim_all()
    assert [(job.member, job.body) for job in claim.jobs] == [(member("a"), body("a")), (member("b"), body("b"))]
    assert (bench.line(), bench.held()) == ("", "a b")


def test_a_fresh_job_comes_without_history_and_losses(bench: Bench) -> None:
    bench.enqueue("a")
    (job,) = bench.claim_all().jobs
    assert (job.history, job.losses) == (None, 0)


def test_only_the_job_that_failed_comes_with_its_history(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=0, history=b"tried once")
    bench.promote()
    bench.enqueue("b")
    assert [(job.history, job.losses) for job in bench.claim_all().jobs] == [(b"tried once", 0), (None, 0)]


def test_what_is_held_is_in_the_order_of_the_claims(bench: Bench) -> None:
    bench.enqueue("z")
    bench.claim()
    bench.enqueue("m b")
    bench.claim()
    bench.enqueue("a")
    bench.claim()
    assert bench.held() == "z m b a"


def test_a_claim_by_an_epoch_whose_lease_ran_out_gets_nothing_until_it_is_renewed(bench: Bench) -> None:
    bench.enqueue("a")
    bench.beat(w1="")
    bench.clock.advance(15)
    assert bench.claim_all().lease == "expired"
    assert bench.line() == "a"
    bench.beat(w1="")
    assert bench.claim() == "a"


def test_a_lease_is_good_up_to_its_last_millisecond(bench: Bench) -> None:
    bench.enqueue("a")
    bench.clock.advance(14.999)
    assert bench.claim() == "a"


def test_a_claim_by_a_fenced_epoch_gets_nothing(bench: Bench) -> None:
    bench.enqueue("a")
    bench.reap("w1")
    claim = bench.claim_all()
    assert (claim.lease, claim.jobs, bench.line()) == ("fenced", (), "a")


@pytest.mark.parametrize("lease", ["expired", "fenced"])
def test_a_claim_that_gets_nothing_for_want_of_a_lease_passes_on_the_bell_that_it_heard(
    bench: Bench, lease: str
) -> None:
    bench.enqueue("a")
    bench.clock.advance(LEASE + 1) if lease == "expired" else bench.reap("w1")
    assert bench.hear()
    assert bench.claim_all().lease == lease
    assert bench.tokens() == 1


def test_a_poke_of_a_fenced_epoch_leaves_no_key(bench: Bench) -> None:
    assert bench.run(calls.poke("w1")) == 1
    bench.reap("w1")
    assert bench.run(calls.poke("w1")) == 0


def test_a_claim_by_an_epoch_that_never_registered_gets_nothing(bench: Bench) -> None:
    bench.enqueue("a")
    assert bench.claim_all("nobody").lease == "fenced"


# commit


def test_commit_stores_the_outcome_and_lets_go(bench: Bench) -> None:
    bench.hold("a b")
    assert bench.commit("a", ttl=60, record=b"seven") == ""
    assert bench.stored("result", "a") == b"seven"
    assert 50 < (bench.lasts("a") or 0) <= 60
    assert (bench.held(), bench.stored("jobs", "a"), bench.place("a")) == ("b", None, "done")


def test_one_commit_ends_many_jobs_of_several_queues(bench: Bench) -> None:
    bench.hold("a b")
    bench.hold("c", route="mail:cpu:7")
    finished = [*members("a b"), member("c", "mail:cpu:7")]
    assert bench.run(calls.commit("w1", [(each, 60, "b3", b"ok") for each in finished])) == ()
    assert bench.held() == ""
    assert (bench.counters("default")["done"], bench.counters("mail")["done"]) == (2, 1)


def test_with_a_result_ttl_of_0_nothing_is_stored(bench: Bench) -> None:
    bench.hold("a")
    assert bench.commit("a", ttl=0) == ""
    assert (bench.stored("result", "a"), bench.held(), bench.place("a")) == (None, "", "unknown")


def test_commit_clears_history_and_losses(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=0)
    bench.promote()
    bench.claim()
    bench.reap("w1", started="a")
    bench.register("w2")
    bench.claim("w2")
    assert (bench.stored("attempts", "a"), bench.stored("losses", "a")) == (b"1", b"1")
    bench.commit("a", "w2")
    assert (bench.stored("attempts", "a"), bench.stored("losses", "a")) == (None, None)


def test_a_resent_commit_changes_nothing(bench: Bench) -> None:
    bench.hold("a b")
    bench.wait_for("a")
    bench.commit("a", record=b"first")
    assert bench.commit("a", record=b"second") == "a"
    assert (bench.stored("result", "a"), bench.told(), bench.counters()["done"]) == (b"first", "a", 1)


def test_a_repeated_commit_is_not_called_dropped_as_its_outcome_is_stored(bench: Bench) -> None:
    bench.hold("a b")
    bench.commit("a", record=b"once")
    assert bench.commit("a b", record=b"once") == ""
    assert (bench.counters()["done"], bench.counters().get("dropped")) == (2, None)


@pytest.mark.parametrize("late", ["commit", "retry", "bury"])
def test_a_late_outcome_is_counted(bench: Bench, late: str) -> None:
    bench.hold("a b")
    bench.reap("w1")
    assert getattr(bench, late)("a b", "w1") == "a b"
    assert bench.counters()["dropped"] == 2


def test_of_a_commit_only_the_outcomes_of_what_is_not_held_are_dropped(bench: Bench) -> None:
    bench.hold("a b c")
    bench.commit("b")
    assert bench.commit("a b c", record=b"again") == "b"
    assert (bench.stored("result", "a"), bench.stored("result", "b")) == (b"again", b"ok")


def test_the_commit_of_a_fenced_zombie_is_dropped_while_its_job_is_in_line(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    assert bench.commit("a", "w1") == "a"
    assert (bench.line(), bench.stored("result", "a")) == ("a", None)


def test_the_commit_of_a_fenced_zombie_does_not_acknowledge_the_run_of_another(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    bench.register("w2")
    bench.claim("w2")
    assert bench.commit("a", "w1") == "a"
    assert (bench.held("w2"), bench.stored("result", "a")) == ("a", None)


@pytest.mark.parametrize("ttl", [0, 60])
def test_the_commit_of_a_fenced_zombie_cannot_overwrite_an_outcome(bench: Bench, ttl: float) -> None:
    bench.hold("a")
    bench.reap("w1")
    bench.register("w2")
    bench.claim("w2")
    bench.commit("a", "w2", record=b"accepted")
    assert bench.commit("a", "w1", ttl, record=b"of a zombie") == "a"
    assert bench.stored("result", "a") == b"accepted"
    assert bench.counters()["done"] == 1


def test_an_outcome_that_a_torn_write_left_behind_stands_and_the_job_is_let_go(bench: Bench) -> None:
    bench.hold("a")
    bench.ask("SET", bench.broker.key("result", job_id("a")), b"before the crash")
    assert bench.commit("a", record=b"after it") == "a"
    assert (bench.stored("result", "a"), bench.held()) == (b"before the crash", "")


# who waits


def test_a_group_commit_tells_each_waiting_client_of_each_of_its_jobs_once(bench: Bench) -> None:
    bench.hold("a b c d")
    assert bench.wait_for("a b c", b"client-1") == [None, None, None]
    assert bench.wait_for("b c", b"client-2") == [None, None]
    bench.commit("a b d")
    assert (bench.told(b"client-1"), bench.told(b"client-2")) == ("a b", "b")
    bench.commit("a b c")
    assert (bench.told(b"client-1"), bench.told(b"client-2")) == ("a b c", "b c")


def test_a_client_that_asks_twice_is_told_once(bench: Bench) -> None:
    bench.hold("a")
    bench.wait_for("a", b"client-1")
    bench.wait_for("a", b"client-2")
    bench.wait_for("a", b"client-1")
    bench.commit("a")
    assert (bench.told(b"client-1"), bench.told(b"client-2")) == ("a", "a")


def test_who_asks_after_the_outcome_gets_it_at_once(bench: Bench) -> None:
    bench.hold("a b")
    bench.commit("a", record=b"seven")
    assert bench.wait_for("a b nobody") == [b"seven", None, b""]
    assert bench.stored("awaited", "a") is None


def test_who_waits_for_a_job_whose_result_is_not_stored_is_told_too(bench: Bench) -> None:
    bench.hold("a")
    bench.wait_for("a")
    bench.commit("a", ttl=0)
    assert bench.told() == "a"
    assert bench.wait_for("a") == [b""]


def test_what_a_client_was_told_expires(bench: Bench) -> None:
    bench.hold("a")
    bench.wait_for("a")
    bench.commit("a")
    assert 0 < bench.ask("TTL", bench.broker.key("reply", b"client-1")) <= 60


# adopt and pending


def test_adopt_says_what_an_epoch_holds_in_the_order_of_its_claims(bench: Bench) -> None:
    bench.hold("c a b")
    assert bench.run(calls.adopt("w1", 0, ["default"])).held == tuple(members("c a b"))


def test_adopt_tells_a_fenced_zombie_that_it_holds_nothing(bench: Bench) -> None:
    bench.hold("a")
    bench.reap("w1")
    assert bench.run(calls.adopt("w1", 0, ["default"])).held == ()


def test_adopt_shows_a_hundred_parked_jobs_at_a_time_with_their_bodies(bench: Bench) -> None:
    jobs = [f"j{n:03}" for n in range(120)]
    bench.hold(" ".join(jobs))
    bench.park(" ".join(jobs))
    first = bench.run(calls.adopt("w1", 0, ["default", "mail"])).parked
    rest = bench.run(calls.adopt("w1", 100, ["default", "mail"])).parked
    assert [*first, *rest] == [(member(name), body(name)) for name in jobs]
    assert len(first) == 100


def test_pending_while_a_job_is_ready_or_held_by_anybody(bench: Bench) -> None:
    bench.register("w2")
    assert not bench.run(calls.pending(["default"]))
    bench.enqueue("a", "default:solo")
    assert bench.run(calls.pending(["default"]))
    bench.claim("w2", solo=1)
    assert bench.run(calls.pending(["default"]))
    bench.commit("a", "w2", route="default:solo")
    assert not bench.run(calls.pending(["default"]))


def test_jobs_in_other_queues_delayed_and_parked_ones_are_not_pending(bench: Bench) -> None:
    bench.hold("p")
    bench.park("p")
    bench.enqueue("d", delay=10)
    bench.enqueue("m", "mail:io")
    assert not bench.run(calls.pending(["default"]))


def test_jobs_that_a_fenced_epoch_still_holds_are_pending(bench: Bench) -> None:
    bench.hold(" ".join(f"j{n:03}" for n in range(101)))
    bench.reap("w1")
    bench.run(calls.purge(ROUTE))
    assert (bench.line(), bench.held()) == ("", "j000")
    assert bench.run(calls.pending(["default"]))


# counters


def test_what_happened_is_counted_by_queue_and_minute(bench: Bench) -> None:
    bench.hold("a b c")
    bench.enqueue("m", "mail:io")
    bench.commit("a", ttl=0)
    bench.retry("b")
    bench.bury("c")
    assert bench.counters() == {"enqueued": 3, "done": 1, "b3": 1, "retried": 1, "dead": 1}
    assert bench.counters("mail") == {"enqueued": 1}


def test_counters_of_several_minutes_are_added_up_and_old_ones_left_out(bench: Bench) -> None:
    bench.enqueue("a")
    bench.clock.advance(60)
    bench.enqueue("b c")
    assert bench.counters() == {"enqueued": 3}
    bench.clock.advance(9 * 60)
    assert bench.counters() == {"enqueued": 2}


def test_counters_are_kept_for_a_day(bench: Bench) -> None:
    bench.enqueue("a")
    bench.enqueue("b")
    (key,) = bench.ask("KEYS", bench.broker.key("stats", "*"))
    assert DAY < bench.ask("TTL", key) <= 90_000
