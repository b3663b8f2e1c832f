"""What people do to jobs and queues, and what they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.broker import calls
from taskq.broker.records import JobRow, Located, Place, QueueRow
from tests.support.bench import ROUTE, Bench, body, job_id, member, members, name_of

SOLO = "default:solo"


def put_in(bench: Bench, place: str) -> None:
    """Have job "a" in `place`."""
    if place in ("queued", "delayed"):
        bench.enqueue("a", delay=None if place == "queued" else 60)
    elif place != "unknown":
        bench.hold("a")
        if place != "running":
            getattr(bench, {"done": "commit", "dead": "bury", "parked": "park"}[place])("a")
    assert bench.place("a") == place


# cancel


@pytest.mark.parametrize("place", ["queued", "delayed", "parked"])
def test_a_job_that_has_not_started_can_be_cancelled(bench: Bench, place: str) -> None:
    put_in(bench, place)
    bench.wait_for("a")
    assert bench.cancel("a") == [place]
    assert (bench.stored("jobs", "a"), bench.stored("result", "a"), bench.told()) == (None, b"cancelled", "a")
    assert 50 < (bench.lasts("a") or 0) <= 60
    assert (bench.aside("delayed"), bench.aside("parked"), bench.place("a")) == ({}, {}, "done")
    assert bench.claim() == ""


@pytest.mark.parametrize("place", ["running", "done", "dead", "unknown"])
def test_a_job_that_runs_or_has_ended_is_not_cancelled(bench: Bench, place: str) -> None:
    put_in(bench, place)
    before = (bench.stored("jobs", "a"), bench.stored("result", "a"), bench.held())
    assert bench.cancel("a") == [place]
    assert (bench.stored("jobs", "a"), bench.stored("result", "a"), bench.held()) == before


def test_the_empty_place_of_a_cancelled_job_is_passed_over(bench: Bench) -> None:
    bench.enqueue("a b c")
    bench.cancel("b")
    assert bench.claim() == "a c"
    assert bench.stored("cancelled", "b") is None


def test_a_line_of_empty_places_is_passed_over_in_several_claims(bench: Bench) -> None:
    """One claim passes over some five hundred, and wakes another process for the rest."""
    cancelled = " ".join(f"c{number}" for number in range(500))
    bench.enqueue(f"{cancelled} a b")
    bench.cancel(cancelled)
    assert bench.claim(io=300) == "a b"
    bench.enqueue(f"{cancelled.upper()} c")
    bench.cancel(cancelled.upper())
    bench.hear()
    assert bench.claim(io=1) == ""
    assert bench.tokens() == 1
    assert bench.claim(io=1) == "c"


def test_a_job_that_was_deleted_and_is_enqueued_again_has_its_old_place_in_line(bench: Bench) -> None:
    """So also by a producer that repeats a call whose answer was lost: the job must not stand in line twice."""
    bench.enqueue("a b c")
    bench.cancel("b")
    bench.delete("b")
    assert bench.enqueue("b") == 1
    assert bench.enqueue("b") == 0
    assert bench.stored("cancelled", "b") is None
    assert bench.claim() == "a b c"


@pytest.mark.parametrize("changed", [{"route": "default:io:9"}, {"delay": 5}])
def test_a_name_is_refused_while_the_place_of_its_deleted_job_stands_in_another_line(
    bench: Bench, changed: dict[str, Any]
) -> None:
    bench.enqueue("a b")
    bench.delete("b")
    assert bench.enqueue("b", **changed) == -1
    assert bench.place("b") == "unknown"
    assert bench.claim() == "a"
    assert bench.enqueue("b", **changed) == 1


def test_a_job_can_be_cancelled_in_the_solo_lane(bench: Bench) -> None:
    bench.enqueue("a", SOLO)
    assert bench.cancel("a") == ["queued"]
    assert bench.claim(solo=1) == ""
    assert bench.line(SOLO) == ""


def test_cancel_forgets_history_and_losses(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=60)
    bench.cancel("a")
    assert bench.stored("attempts", "a") is None


def test_a_cancel_that_is_resent_says_again_that_the_job_was_cancelled(bench: Bench) -> None:
    bench.enqueue("a b")
    bench.cancel("a")
    assert bench.cancel("a b") == ["queued", "queued"]


# delete


@pytest.mark.parametrize("place", ["queued", "delayed", "parked", "dead", "done"])
def test_delete_leaves_nothing_of_a_job_wherever_it_is(bench: Bench, place: str) -> None:
    put_in(bench, place)
    bench.wait_for("a")
    assert bench.delete("a") == [place]
    assert bench.claim() == ""
    assert bench.place("a") == "unknown"
    assert (bench.aside("delayed"), bench.aside("parked"), bench.aside("dead")) == ({}, {}, {})
    assert bench.enqueue("a") == 1


def test_a_running_job_is_not_deleted(bench: Bench) -> None:
    bench.hold("a")
    assert bench.delete("a") == ["running"]
    assert (bench.held(), bench.stored("jobs", "a")) == ("a", body("a"))
    assert bench.commit("a") == ""


def test_who_waits_for_a_job_that_is_deleted_is_told(bench: Bench) -> None:
    bench.enqueue("a")
    bench.wait_for("a")
    bench.delete("a")
    assert bench.told() == "a"
    assert bench.wait_for("a") == [b""]


# revive


def test_a_dead_job_is_revived_with_a_clean_slate(bench: Bench) -> None:
    bench.hold("a")
    bench.bury("a", history=b"thrice")
    assert bench.revive("a") == ["dead"]
    assert (bench.stored("result", "a"), bench.aside("dead"), bench.line()) == (None, {}, "a")
    (job,) = bench.claim_all().jobs
    assert (job.body, job.history, job.losses) == (body("a"), None, 0)
    assert bench.commit("a", record=b"at last") == ""
    assert bench.stored("result", "a") == b"at last"


def test_a_delayed_job_is_put_in_line_at_once_and_keeps_its_history(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=60, history=b"once")
    assert bench.revive("a") == ["delayed"]
    assert bench.aside("delayed") == {}
    assert bench.claim_all().jobs[0].history == b"once"


@pytest.mark.parametrize("place", ["queued", "running", "parked", "done", "unknown"])
def test_a_job_that_is_neither_dead_nor_delayed_is_not_revived(bench: Bench, place: str) -> None:
    put_in(bench, place)
    line = bench.line()
    assert bench.revive("a") == [place]
    assert (bench.place("a"), bench.line()) == (place, line)


def test_a_job_that_was_lost_too_often_is_revived_in_the_solo_lane(bench: Bench) -> None:
    bench.enqueue("a", SOLO)
    bench.claim(solo=1)
    bench.run(calls.bury("w1", [(member("a", SOLO), b"lost", b"1")]))
    assert bench.revive("a", ROUTE) == ["dead"]
    assert bench.claim(solo=1) == "a"


# purge


def test_purge_forgets_the_jobs_in_line_and_tells_who_waits(bench: Bench) -> None:
    bench.hold("running")
    bench.enqueue("a b c")
    bench.cancel("b")
    bench.wait_for("a")
    assert bench.run(calls.purge(ROUTE)) == (2, 0)
    assert (bench.place("a"), bench.told(), bench.line()) == ("unknown", "a", "")
    assert bench.commit("running") == ""


def test_purge_goes_in_steps_of_five_hundred(bench: Bench) -> None:
    for start in (0, 400):
        bench.enqueue(" ".join(f"j{n}" for n in range(start, start + 400)))
    assert bench.run(calls.purge(ROUTE)) == (500, 300)
    assert bench.run(calls.purge(ROUTE)) == (300, 0)
    assert bench.run(calls.purge(ROUTE)) == (0, 0)


def test_purge_forgets_history_losses_and_empty_places(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=0)
    bench.promote()
    bench.claim()
    bench.reap(started="a")
    bench.enqueue("b")
    bench.cancel("b")
    bench.delete("b")
    bench.run(calls.purge(ROUTE))
    assert (bench.stored("attempts", "a"), bench.stored("losses", "a")) == (None, None)
    assert bench.enqueue("b") == 1


# pause


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(bench: Bench) -> None:
    bench.enqueue("a")
    bench.enqueue("m", "mail:io")
    assert bench.run(calls.pause("default", "me, at noon"))
    assert bench.claim(queues=("default", "mail")) == "m"
    assert bench.run(calls.resume("default"))
    assert bench.claim() == "a"


def test_parked_jobs_of_a_paused_queue_are_not_handed_out_either(bench: Bench) -> None:
    bench.hold("a")
    bench.park("a")
    bench.run(calls.pause("default", "me"))
    assert bench.unpark("a") == ""
    bench.run(calls.resume("default"))
    assert bench.unpark("a") == "a"


def test_what_runs_in_a_paused_queue_goes_on(bench: Bench) -> None:
    bench.hold("a b")
    bench.run(calls.pause("default", "me"))
    assert bench.commit("a") == ""
    assert bench.retry("b") == ""


def test_the_first_who_paused_is_remembered(bench: Bench) -> None:
    bench.run(calls.pause("default", "me"))
    assert not bench.run(calls.pause("default", "you"))
    assert [row.paused for row in bench.run(calls.overview())] == ["me"]
    bench.run(calls.resume("default"))
    assert not bench.run(calls.resume("default"))


def test_nothing_rings_in_a_paused_queue(bench: Bench) -> None:
    bench.register("w2")
    bench.enqueue("a b c d e")
    bench.claim(io=4)
    bench.claim("w2", io=1)
    bench.enqueue("later", delay=0)
    bench.bury("c")
    bench.hear()
    bench.run(calls.pause("default", "me"))
    bench.enqueue("f")
    bench.give_back("a")
    bench.reap("w2")
    bench.revive("c")
    bench.promote()
    assert bench.claim() == ""
    assert (bench.line(), bench.tokens()) == ("e a f c later", 0)


def test_resume_rings_for_each_lane_that_has_jobs(bench: Bench) -> None:
    bench.run(calls.pause("default", "me"))
    bench.enqueue("a b")
    bench.enqueue("c", "default:cpu:9")
    bench.run(calls.resume("default"))
    assert [bench.tokens(f"default:{lane}") for lane in ("io", "cpu", "async", "solo")] == [1, 1, 0, 0]


# doorbells


def test_a_doorbell_has_at_most_one_token(bench: Bench) -> None:
    bench.enqueue("a b")
    bench.enqueue("c")
    bench.claim(io=1)
    bench.give_back("a")
    assert bench.tokens() == 1


def test_each_lane_has_its_own_doorbell(bench: Bench) -> None:
    bench.enqueue("a", "default:cpu:3")
    assert (bench.tokens("default:cpu"), bench.tokens()) == (1, 0)


def test_who_heard_a_bell_and_took_other_jobs_instead_rings_it_again(bench: Bench) -> None:
    bench.enqueue("m", "mail:io")
    bench.enqueue("a b")
    for bell in ("mail:io", "default:io"):
        assert bench.hear(bell)
    assert bench.claim(queues=("default", "mail"), io=2) == "a b"
    assert (bench.tokens(), bench.tokens("mail:io")) == (0, 1)


def test_who_passed_over_cancelled_jobs_only_rings_for_those_behind(bench: Bench) -> None:
    bench.enqueue("a b c d")
    bench.cancel("a b")
    bench.hear()
    assert bench.claim(io=1) == "c"
    assert bench.tokens() == 1
    assert bench.claim() == "d"


def test_a_queue_that_never_had_a_priority_is_one_line(bench: Bench) -> None:
    bench.enqueue("a", "default:cpu:9")
    bench.enqueue("b")
    assert bench.ask("SMEMBERS", bench.broker.key("levels")) in ({b"default:cpu"}, [b"default:cpu"])
    assert bench.claim(io=1, cpu=1) == "b a"
    bench.enqueue("c", "mail:io:0", delay=1)
    assert set(bench.ask("SMEMBERS", bench.broker.key("levels"))) == {b"default:cpu", b"mail:io"}


def test_a_refused_enqueue_does_not_ring(bench: Bench) -> None:
    bench.hold("a")
    bench.hear()
    bench.enqueue("a")
    assert bench.tokens() == 0


def test_who_claims_and_leaves_jobs_behind_rings_for_the_next(bench: Bench) -> None:
    bench.enqueue("a b c")
    for claimed in ("a", "b"):
        assert bench.hear()
        assert bench.claim(io=1) == claimed
        assert bench.tokens() == 1


def test_who_claims_and_leaves_nothing_behind_does_not_ring(bench: Bench) -> None:
    bench.enqueue("a b")
    bench.hear()
    assert bench.claim(io=2) == "a b"
    assert bench.tokens() == 0


def test_jobs_of_lower_priority_left_behind_ring_too(bench: Bench) -> None:
    bench.enqueue("a", "default:io:9")
    bench.enqueue("b", "default:io:1")
    bench.hear()
    assert bench.claim(io=1) == "a"
    assert bench.tokens() == 1


def test_promoted_and_revived_jobs_ring(bench: Bench) -> None:
    bench.hold("a")
    bench.bury("a")
    bench.enqueue("b", delay=0)
    bench.hear()
    bench.revive("a")
    assert bench.hear()
    bench.promote()
    assert bench.hear()


def test_a_delayed_job_rings_the_timer_only_when_it_is_the_next_of_its_queue(bench: Bench) -> None:
    bench.enqueue("a", delay=60)
    assert (bench.tokens("timer"), bench.tokens()) == (1, 0)
    bench.hear("timer")
    bench.enqueue("b", delay=90)
    assert bench.tokens("timer") == 0
    bench.enqueue("c", delay=30)
    bench.enqueue("d", delay=20)
    assert bench.tokens("timer") == 1


def test_retried_and_parked_jobs_ring_the_timer(bench: Bench) -> None:
    bench.hold("a b")
    bench.retry("a")
    assert bench.hear("timer")
    bench.park("b")
    assert bench.hear("timer")


# what is shown


def test_locate_says_who_runs_a_job_and_shows_what_is_stored(bench: Bench) -> None:
    bench.hold("a")
    assert bench.run(calls.locate(job_id("a"), ROUTE)) == Located("running", "w1", None, body("a"), None, None, 0)


def test_locate_says_when_a_delayed_job_is_due(bench: Bench) -> None:
    bench.hold("a")
    bench.retry("a", delay=30, history=b"once")
    found = bench.run(calls.locate(job_id("a"), ROUTE))
    assert found == Located("delayed", None, bench.clock.now() + 30, body("a"), None, b"once", 0)


def test_locate_finds_a_job_that_was_moved_to_the_solo_lane(bench: Bench) -> None:
    bench.enqueue("a", SOLO)
    assert bench.place("a") == "queued"
    bench.claim(solo=1)
    assert bench.place("a") == "running"


def test_locate_without_a_route_shows_what_is_stored(bench: Bench) -> None:
    bench.enqueue("a")
    found = bench.run(calls.locate(job_id("a"), ""))
    assert (found.place, found.body) == ("unknown", body("a"))


def test_a_job_whose_reaper_died_midway_is_still_running(bench: Bench) -> None:
    bench.hold(" ".join(f"j{n:03}" for n in range(101)))
    bench.reap()
    assert (bench.place("j000"), bench.place("j100")) == ("running", "queued")


def test_the_overview_has_a_row_for_each_queue(bench: Bench) -> None:
    bench.hold("dead parked held")
    bench.bury("dead")
    bench.park("parked")
    bench.enqueue("b", delay=5)
    bench.enqueue("x", "default:cpu")
    bench.enqueue("y z")
    bench.run(calls.pause("mail", "me"))
    counters = {"enqueued": 7, "dead": 1}
    default = QueueRow("default", 3, 1, 1, 1, None, body("y"), counters)
    assert bench.run(calls.overview()) == [default, QueueRow("mail", 0, 0, 0, 0, "me", None)]


def test_browse_shows_pages_of_the_line_in_the_order_of_the_claims(bench: Bench) -> None:
    bench.enqueue("c d")
    bench.enqueue("a b", "default:io:9")
    bench.enqueue("e", SOLO)
    bench.cancel("d")
    assert [name_of(row.member) for row in bench.run(calls.browse("queued", "default", 0, 10))] == list("abce")
    assert [name_of(row.member) for row in bench.run(calls.browse("queued", "default", 1, 2))] == list("bc")


def test_browse_shows_delayed_parked_and_dead_jobs_with_their_times(bench: Bench) -> None:
    start = bench.clock.now()
    bench.hold("a b c d")
    bench.retry("a", delay=5)
    bench.park("b", patience=60)
    bench.bury("c", record=b"first")
    bench.clock.advance(1)
    bench.bury("d", record=b"second")

    def rows(place: Place) -> list[JobRow]:
        return bench.run(calls.browse(place, "default", 0, 10))

    assert rows("delayed") == [JobRow(member("a"), start + 5, body("a"), None)]
    assert rows("parked") == [JobRow(member("b"), start + 60, body("b"), None)]
    assert rows("dead") == [
        JobRow(member("d"), start + 1, body("d"), b"second"),
        JobRow(member("c"), start, body("c"), b"first"),
    ]


def test_holdings_show_each_live_process_and_what_it_holds(bench: Bench) -> None:
    bench.register("w2")
    bench.hold("a b", "w2")
    bench.clock.advance(5)
    bench.beat(w2="a")
    rows = {row.epoch: row for row in bench.run(calls.holdings())}
    assert (rows["w1"].lease_left, rows["w1"].held) == (10, ())
    assert (rows["w2"].lease_left, rows["w2"].held, rows["w2"].info) == (15, tuple(members("a b")), {"host": "h"})
