"""How jobs get in line and out of it: newest first, bounded, by priorities that do not starve, by weights."""

from __future__ import annotations

from collections import Counter

import pytest

from taskq.broker import calls
from taskq.broker.records import Full
from tests.support.bench import Bench, job_id, members, name_of

LIFO, THREE = "lifo 0", "fifo 3"
MAIL, LOW, HIGH = "mail:io", "mail:io:0", "mail:io:9"
BOTH = ("a=6", "b=1")


def numbered(prefix: str, many: int) -> str:
    return " ".join(f"{prefix}{n:03}" for n in range(many))


def share(claimed: str) -> dict[str, int]:
    """How many jobs of each prefix."""
    return dict(Counter(name.rstrip("0123456789") for name in claimed.split()))


# Newest first


def test_in_a_lifo_queue_the_newest_job_is_claimed_first(bench: Bench) -> None:
    bench.enqueue("a b", terms=LIFO)
    bench.enqueue("c", terms=LIFO)
    assert bench.claim(io=2) == "c b"
    assert bench.claim(io=2) == "a"


def test_a_producer_that_did_not_declare_the_order_goes_by_it_too(bench: Bench) -> None:
    bench.enqueue("a", terms=LIFO)
    bench.enqueue("b")
    assert bench.claim() == "b a"


def test_what_is_declared_last_counts_from_then_on(bench: Bench) -> None:
    bench.enqueue("a b", terms=LIFO)
    bench.enqueue("c", terms="fifo 0")
    bench.enqueue("d")
    assert bench.claim() == "b a c d"


def test_the_order_of_one_queue_is_not_that_of_another(bench: Bench) -> None:
    bench.enqueue("a b", MAIL, terms=LIFO)
    bench.enqueue("c d")
    assert bench.claim(queues=("mail", "default")) == "b a c d"


def test_a_higher_priority_is_claimed_sooner_and_within_one_the_newest(bench: Bench) -> None:
    bench.enqueue("l1 l2", LOW, terms=LIFO)
    bench.enqueue("h1 h2", HIGH, terms=LIFO)
    bench.enqueue("m1 m2", MAIL, terms=LIFO)
    assert bench.claim(queues=("mail",)) == "h2 h1 m2 m1 l2 l1"


def test_jobs_that_are_due_are_the_newest_of_a_lifo_queue_the_latest_first(bench: Bench) -> None:
    bench.enqueue("retried", terms=LIFO)
    bench.claim()
    bench.retry("retried", delay=3)
    bench.enqueue("early", delay=1)
    bench.enqueue("waits")
    bench.clock.advance(3)
    bench.promote()
    assert bench.claim() == "retried early waits"


def test_a_job_that_an_operator_revives_is_the_newest_of_a_lifo_queue(bench: Bench) -> None:
    bench.hold("dead")
    bench.bury("dead")
    bench.enqueue("waits", terms=LIFO)
    bench.revive("dead")
    assert bench.line() == "dead waits"


def test_jobs_that_are_given_back_stand_first_in_the_order_they_had(bench: Bench) -> None:
    bench.enqueue("a b c", terms=LIFO)
    assert bench.claim(io=2) == "c b"
    bench.enqueue("d")
    bench.give_back("c b")
    assert bench.line() == "c b d a"


def test_the_oldest_job_of_a_lifo_queue_is_its_last(bench: Bench) -> None:
    bench.enqueue("a b", terms=LIFO)
    (row,) = bench.run(calls.overview())
    assert (row.oldest, row.terms) == (b"body of a", LIFO)


@pytest.mark.parametrize("garbage", ["", "lifo", "1000", "lifo -3", "\xff", "lifo 9999999999999999999", "x" * 1000])
def test_terms_that_are_none_are_those_of_a_plain_queue(bench: Bench, garbage: str) -> None:
    bench.ask("SET", bench.broker.key("terms", "default"), garbage)
    assert bench.enqueue("a b c d") == 4
    assert len(bench.claim().split()) == 4


# Bounded


def test_a_full_queue_takes_no_more(bench: Bench) -> None:
    assert bench.enqueue("a b", terms=THREE) == 2
    assert bench.enqueue("c d e", terms=THREE) == Full(stored=1, dealt=1, length=3, bound=3)
    assert bench.enqueue("d") == Full(stored=0, dealt=0, length=3, bound=3)
    assert bench.line() == "a b c"


def test_a_claim_makes_room(bench: Bench) -> None:
    bench.enqueue("a b c", terms=THREE)
    bench.claim(io=1)
    assert bench.enqueue("d e") == Full(stored=1, dealt=1, length=3, bound=3)
    assert bench.line() == "b c d"


def test_all_lanes_and_priorities_of_a_queue_count(bench: Bench) -> None:
    bench.enqueue("a", HIGH, terms=THREE)
    bench.enqueue("b", "mail:cpu")
    bench.enqueue("c", "mail:async:1")
    assert bench.enqueue("d", MAIL) == Full(stored=0, dealt=0, length=3, bound=3)
    assert bench.enqueue("d", "other:io") == 1


def test_a_job_that_is_there_needs_no_room(bench: Bench) -> None:
    """Its producer sends it again, having had no answer."""
    bench.enqueue("a b c", terms=THREE)
    assert bench.enqueue("a b c") == 0
    assert bench.enqueue("b c d") == Full(stored=0, dealt=2, length=3, bound=3)


def test_an_outcome_that_is_there_needs_no_room(bench: Bench) -> None:
    bench.hold("done")
    bench.commit("done")
    bench.enqueue("a b c", terms=THREE)
    assert bench.enqueue("done") == 0


def test_a_deleted_name_gets_its_old_place_in_a_full_line(bench: Bench) -> None:
    bench.enqueue("a b c", terms=THREE)
    bench.delete("b")
    assert bench.enqueue("b") == 1
    assert bench.line() == "a b c"


def test_delayed_jobs_do_not_count_and_get_in_line_though_it_is_full(bench: Bench) -> None:
    bench.enqueue("a b c", terms=THREE)
    assert bench.enqueue("d e", delay=5) == 2
    bench.clock.advance(5)
    bench.promote()
    assert bench.line() == "a b c d e"
    assert bench.enqueue("f") == Full(stored=0, dealt=0, length=5, bound=3)


def test_workers_put_jobs_back_in_a_full_line(bench: Bench) -> None:
    bench.enqueue("a b c", terms=THREE)
    bench.claim(io=1)
    bench.enqueue("d")
    assert bench.give_back("a") == 1
    assert bench.line() == "a b c d"


def test_a_bound_that_is_lifted_holds_nobody_back(bench: Bench) -> None:
    bench.enqueue("a b c", terms=THREE)
    assert bench.enqueue("d", terms="fifo 0") == 1


def rings(bench: Bench, queue: str = "default") -> bool:
    """Take the token of those who wait for room, as a producer does that waits for it."""
    return bench.ask("LPOP", bench.broker.key("room", queue)) is not None


def fill(bench: Bench) -> None:
    """Full, and whoever waits for room waits."""
    bench.enqueue("a b c", terms=THREE)
    rings(bench)


def test_who_makes_room_rings_for_one_who_waits(bench: Bench) -> None:
    fill(bench)
    bench.claim(io=2)
    assert rings(bench)
    assert not rings(bench)


def test_who_was_woken_and_leaves_room_wakes_the_next(bench: Bench) -> None:
    fill(bench)
    bench.claim(io=2)
    assert rings(bench)
    bench.enqueue("d")
    assert rings(bench)
    bench.enqueue("e")
    assert not rings(bench)


def test_who_was_woken_for_a_job_that_is_there_wakes_the_next(bench: Bench) -> None:
    fill(bench)
    bench.claim(io=1)
    assert rings(bench)
    assert bench.enqueue("a") == 0
    assert rings(bench)


def test_who_was_woken_and_does_not_want_the_room_wakes_the_next(bench: Bench) -> None:
    fill(bench)
    bench.claim(io=1)
    assert rings(bench)
    assert bench.run(calls.beckon("default")) == 1
    assert rings(bench)


def test_a_higher_bound_rings(bench: Bench) -> None:
    fill(bench)
    bench.enqueue("d", terms="fifo 9")
    assert rings(bench)


def test_a_purge_rings(bench: Bench) -> None:
    fill(bench)
    bench.run(calls.purge("default:io"))
    assert rings(bench)


@pytest.mark.parametrize(("job", "free"), [("a", True), ("b", False), ("c", True)])
def test_a_job_that_is_picked_at_an_end_of_the_line_makes_room_and_rings(bench: Bench, job: str, free: bool) -> None:
    bench.hold("w")
    fill(bench)
    assert bench.pick(job) == job
    assert rings(bench) is free
    assert (bench.enqueue("d") == 1) is free


def test_empty_places_that_a_claim_passes_ring(bench: Bench) -> None:
    fill(bench)
    bench.cancel("a b c")
    assert not rings(bench)
    assert bench.claim() == ""
    assert rings(bench)


def test_nothing_rings_for_queues_without_a_bound(bench: Bench) -> None:
    bench.enqueue("a")
    bench.enqueue("b", MAIL, terms=LIFO)
    bench.claim(queues=("default", "mail"))
    assert not rings(bench)
    assert not rings(bench, "mail")


def test_a_claim_that_finds_nothing_does_not_ring(bench: Bench) -> None:
    fill(bench)
    bench.claim(cpu=3)
    assert not rings(bench)


# Priorities


def test_one_of_sixteen_jobs_is_of_a_lower_priority(bench: Bench) -> None:
    bench.enqueue(numbered("h", 200), HIGH)
    bench.enqueue(numbered("l", 200), LOW)
    assert share(bench.claim(queues=("mail",), io=160)) == {"h": 150, "l": 10}


@pytest.mark.parametrize("step", [1, 3, 7, 16, 20, 64])
def test_so_it_is_however_many_a_claim_takes_and_whoever_claims(bench: Bench, step: int) -> None:
    bench.register("w2")
    bench.enqueue(numbered("h", 400), HIGH)
    bench.enqueue(numbered("l", 40), LOW)
    claimed = Counter[str]()
    for turn in range(320 // step):
        claimed.update(share(bench.claim(f"w{turn % 2 + 1}", ("mail",), io=step)))
        assert claimed["l"] == claimed.total() // 16


def test_lower_priorities_take_turns(bench: Bench) -> None:
    for level in (9, 5, 3, 0):
        bench.enqueue(numbered(f"{'hmnl'[(9, 5, 3, 0).index(level)]}", 100), f"mail:io:{level}" if level != 5 else MAIL)
    assert share(bench.claim(queues=("mail",), io=96)) == {"h": 90, "m": 2, "n": 2, "l": 2}


def test_a_priority_that_has_no_jobs_gives_its_turn_away(bench: Bench) -> None:
    bench.enqueue(numbered("h", 100), HIGH)
    bench.enqueue("m1", MAIL)
    bench.enqueue(numbered("l", 100), LOW)
    assert share(bench.claim(queues=("mail",), io=64)) == {"h": 60, "m": 1, "l": 3}


def test_a_claim_for_all_jobs_gets_all_highest_priority_first(bench: Bench) -> None:
    bench.enqueue(numbered("l", 20), LOW)
    bench.enqueue(numbered("h", 20), HIGH)
    claimed = bench.claim(queues=("mail",), io=100)
    assert claimed == f"{numbered('h', 20)} {numbered('l', 20)}"


def test_a_line_without_priorities_keeps_no_account(bench: Bench) -> None:
    bench.enqueue(numbered("a", 40))
    bench.claim(io=40)
    assert bench.ask("EXISTS", bench.broker.key("turns")) == 0


# Weights


def stock(bench: Bench, many: int = 300) -> None:
    bench.enqueue(numbered("a", many), "a:io")
    bench.enqueue(numbered("b", many), "b:io")


@pytest.mark.parametrize("step", [1, 2, 5, 16, 100])
def test_queues_share_by_weight_job_for_job_however_many_a_claim_takes(bench: Bench, step: int) -> None:
    stock(bench)
    claimed = Counter[str]()
    while claimed.total() < 200:
        claimed.update(share(bench.claim(queues=BOTH, io=step)))
        assert abs(claimed["b"] - claimed.total() / 7) < 1


def test_a_queue_that_has_none_leaves_its_share_to_the_others_by_their_weights(bench: Bench) -> None:
    stock(bench)
    assert share(bench.claim(queues=("c=9", "b=1", "a=2"), io=30)) == {"a": 20, "b": 10}


def test_the_order_of_the_queues_does_not_matter(bench: Bench) -> None:
    stock(bench)
    assert share(bench.claim(queues=BOTH[::-1], io=70)) == {"a": 60, "b": 10}


def test_a_queue_that_was_empty_for_long_has_saved_up_nothing(bench: Bench) -> None:
    bench.enqueue(numbered("a", 300), "a:io")
    assert share(bench.claim(queues=BOTH, io=200)) == {"a": 200}
    bench.enqueue(numbered("b", 300), "b:io")
    assert share(bench.claim(queues=BOTH, io=70)) == {"a": 60, "b": 10}


def test_each_lane_is_shared_by_itself(bench: Bench) -> None:
    stock(bench)
    bench.enqueue(numbered("x", 10), "b:cpu")
    assert share(bench.claim(queues=BOTH, io=70, cpu=10)) == {"a": 60, "b": 10, "x": 10}


def test_a_paused_queue_has_no_share(bench: Bench) -> None:
    stock(bench)
    bench.run(calls.pause("a", "me"))
    assert share(bench.claim(queues=BOTH, io=20)) == {"b": 20}


def test_weights_and_priorities_go_together(bench: Bench) -> None:
    bench.enqueue(numbered("h", 100), "a:io:9")
    bench.enqueue(numbered("l", 100), "a:io:0")
    bench.enqueue(numbered("b", 100), "b:io")
    assert share(bench.claim(queues=("a=1", "b=1"), io=64)) == {"h": 30, "l": 2, "b": 32}


def test_who_leaves_jobs_of_any_queue_behind_wakes_the_next_fetcher(bench: Bench) -> None:
    stock(bench, 10)
    for bell in ("a:io", "b:io"):
        assert bench.hear(bell)
    bench.claim(queues=BOTH, io=7)
    assert bench.hear("a:io")
    assert bench.hear("b:io")


def test_what_a_process_has_in_hand_goes_with_it(bench: Bench) -> None:
    stock(bench)
    claimed = bench.claim_all(queues=BOTH, io=3)
    for job in claimed.jobs:
        bench.run(calls.commit("w1", [(job.member, 60, "b3", b"ok")]))
    bench.reap()
    assert bench.ask("EXISTS", bench.broker.key("worker", "w1")) == 0


def test_garbage_in_the_account_counts_for_nothing(bench: Bench) -> None:
    stock(bench)
    for garbage in (b"inf", b"-", b"9" * 400, b"\xff"):
        bench.ask("HSET", bench.broker.key("worker", "w1"), "credit:io:a", garbage)
        assert share(bench.claim(queues=BOTH, io=14)) == {"a": 12, "b": 2}


def test_a_process_whose_lease_ran_out_leaves_the_bells_of_its_weighted_queues_ringing(bench: Bench) -> None:
    stock(bench, 1)
    for bell in ("a:io", "b:io"):
        bench.hear(bell)
    bench.ask("ZADD", bench.broker.key("workers"), "XX", 0, b"w1")
    assert bench.claim_all(queues=BOTH, io=1).lease == "expired"
    assert bench.hear("a:io")
    assert bench.hear("b:io")


def test_the_members_of_weighted_claims_are_held_like_any(bench: Bench) -> None:
    bench.enqueue("a", "a:io")
    bench.enqueue("b", "b:io")
    claim = bench.claim_all(queues=BOTH, io=5)
    assert [job.member for job in claim.jobs] == [*members("a", "a:io"), *members("b", "b:io")]
    assert {name_of(job.member) for job in claim.jobs} == {"a", "b"}
    assert bench.place("a", "a:io") == "running"
    assert bench.stored("jobs", "b") is not None
    assert job_id("a") == claim.jobs[0].member[:16]
