"""What becomes of the jobs of worker processes that die, stop or lose touch; and who is told."""

from __future__ import annotations

import pytest

from taskq.broker import calls
from taskq.broker.records import Beat, Reaped
from tests.support.bench import Bench, names

MANY = [f"j{n:03}" for n in range(250)]
HOUR = 3600


def beat_for(bench: Bench, seconds: int, **started: str) -> Beat:
    """Heartbeats every three seconds; the answer to the last."""
    beat = bench.beat(**started)
    for _ in range(0, seconds, 3):
        bench.clock.advance(3)
        beat = bench.beat(**started)
    return beat


def lose(bench: Bench, job: str, times: int) -> None:
    """Have the process that runs `job` die so often."""
    for number in range(times):
        epoch = f"doomed-{number}"
        bench.register(epoch)
        assert bench.claim(epoch, io=1, solo=1) == job
        bench.reap(epoch, started=job)


# heartbeat


def test_a_heartbeat_renews_the_leases_of_its_own_processes_only(bench: Bench) -> None:
    bench.register("w2")
    bench.clock.advance(5)
    bench.beat(w1="")
    assert {row.epoch: row.lease_left for row in bench.run(calls.holdings())} == {"w1": 15, "w2": 10}


def test_a_process_that_beats_is_nobodys_victim(bench: Bench) -> None:
    assert beat_for(bench, 60, w1="").victim is None


def test_a_process_whose_lease_ran_out_is_the_victim_of_another_supervisor(bench: Bench) -> None:
    bench.register("w2")
    assert beat_for(bench, 12, w2="").victim is None
    assert beat_for(bench, 3, w2="").victim == "w1"


def test_a_heartbeat_hands_out_one_victim_after_the_other(bench: Bench) -> None:
    bench.register("x", "y", "mine")
    bench.enqueue("a")
    first = beat_for(bench, 15, mine="").victim
    assert first in ("w1", "x", "y")
    bench.reap(first)
    second = bench.beat(mine="").victim
    bench.reap(second or "")
    third = bench.beat(mine="").victim
    bench.reap(third or "")
    assert {first, second, third} == {"w1", "x", "y"}
    assert bench.beat(mine="").victim is None


def test_a_heartbeat_reports_epochs_of_its_own_that_were_declared_dead(bench: Bench) -> None:
    bench.register("w2")
    bench.reap("w1")
    assert bench.beat(w1="", w2="").lost == ("w1",)


def test_an_epoch_that_is_being_reaped_is_reported_as_lost_and_not_handed_to_its_own_supervisor(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.reap("w1")
    beat = bench.beat(w1="")
    assert (beat.lost, beat.victim) == (("w1",), None)


def test_a_heartbeat_does_not_bring_a_dead_epoch_back(bench: Bench) -> None:
    bench.reap("w1")
    bench.beat(w1="")
    bench.enqueue("a")
    assert bench.claim_all("w1").lease == "fenced"


def test_a_heartbeat_says_when_the_next_delayed_job_is_due(bench: Bench) -> None:
    assert bench.beat(w1="").next_due is None
    bench.enqueue("a", delay=30)
    bench.enqueue("b", "mail:io", delay=20)
    assert bench.beat(w1="").next_due == 20
    bench.clock.advance(21)
    assert bench.beat(w1="").next_due == 0


def test_an_epoch_that_is_being_reaped_cannot_register(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.reap("w1")
    assert not bench.run(calls.register("w1", 15, {}))


def test_a_resent_register_changes_nothing_but_the_lease(bench: Bench) -> None:
    bench.hold("a")
    bench.register("w1")
    assert bench.held() == "a"
    (row,) = bench.run(calls.holdings())
    assert (row.epoch, row.info, names(row.held)) == ("w1", {"host": "h"}, "a")


# the outage guard


def test_after_an_outage_longer_than_the_gap_nobody_is_dead_and_all_leases_are_new(bench: Bench) -> None:
    bench.register("w2")
    bench.beat(w1="")
    bench.beat(w2="")
    bench.clock.advance(60)
    assert bench.beat(w1="") == Beat((), None, None)
    assert {row.lease_left for row in bench.run(calls.holdings())} == {15}


def test_a_process_that_did_not_survive_the_outage_is_found_a_lease_after_it(bench: Bench) -> None:
    bench.register("w2")
    bench.beat(w1="")
    bench.clock.advance(60)
    assert beat_for(bench, 12, w1="").victim is None
    assert beat_for(bench, 3, w1="").victim == "w2"


def test_a_pause_shorter_than_the_gap_is_no_outage(bench: Bench) -> None:
    bench.register("w2")
    bench.beat(w1="")
    bench.clock.advance(8)
    bench.beat(w1="")
    bench.clock.advance(8)
    assert bench.beat(w1="").victim == "w2"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_server_clock_that_jumps_kills_nobody_and_keeps_no_corpse_alive(bench: Bench, jump: float) -> None:
    bench.register("w2")
    bench.hold("a", "w2")
    beat_for(bench, 6, w1="", w2="a")
    bench.clock.advance(jump)
    assert bench.beat(w1="").victim is None
    assert bench.commit("a", "w2") == ""
    assert {row.lease_left for row in bench.run(calls.holdings())} == {15}
    assert beat_for(bench, 12, w1="").victim is None
    assert beat_for(bench, 3, w1="").victim == "w2"


def test_an_epoch_that_was_fenced_before_the_outage_stays_dead(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.register("w2")
    bench.beat(w2="")
    bench.reap("w1")
    bench.clock.advance(60)
    assert bench.beat(w2="").victim == "w1"


# reap


def test_reap_puts_jobs_back_at_the_head_in_order(bench: Bench) -> None:
    bench.hold("a b c")
    bench.enqueue("d")
    assert bench.reap() == Reaped(left=0, given_back=3, buried=0)
    assert (bench.line(), bench.held()) == ("a b c d", "")


def test_reap_forgets_the_process(bench: Bench) -> None:
    bench.hold("a")
    bench.beat(w1="a")
    bench.reap()
    assert bench.run(calls.holdings()) == []
    assert bench.ask("EXISTS", *(bench.broker.key(row, "w1") for row in ("worker", "held", "poke"))) == 0
    assert bench.ask("SCARD", bench.broker.key("fenced")) == 0


def test_a_victim_that_has_come_back_before_its_reaper_is_left_alone(bench: Bench) -> None:
    bench.hold("a")
    assert beat_for(bench, 15).victim == "w1"
    assert bench.beat(w1="a").lost == ()  # its host was frozen for a while
    assert bench.run(calls.reap("w1", b"lost", None)) == Reaped(left=0, given_back=0, buried=0)
    assert bench.commit("a") == ""


def test_a_resent_reap_changes_nothing(bench: Bench) -> None:
    bench.hold("a b")
    bench.reap(started="a")
    assert bench.reap(started="a") == Reaped(0, 0, 0)
    assert (bench.line(), bench.stored("losses", "a")) == ("a b", b"1")


def test_only_jobs_that_had_started_count_a_loss(bench: Bench) -> None:
    bench.hold("a b c")
    bench.reap(started="b")
    bench.register("w2")
    assert [job.losses for job in bench.claim_all("w2").jobs] == [0, 1, 0]


def test_for_a_host_that_died_those_count_that_its_last_heartbeat_listed(bench: Bench) -> None:
    bench.hold("a b c")
    bench.beat(w1="a b")
    bench.beat(w1="b c")
    bench.reap(started=None)
    assert [bench.stored("losses", name) for name in ("a", "b", "c")] == [None, b"1", b"1"]


def test_a_supervisor_that_knows_that_nothing_had_started_is_believed(bench: Bench) -> None:
    bench.hold("a")
    bench.beat(w1="a")
    bench.reap(started="")
    assert bench.stored("losses", "a") is None


def test_a_job_lost_once_goes_back_to_the_head_of_its_line(bench: Bench) -> None:
    bench.enqueue("a b")
    lose(bench, "a", times=1)
    assert (bench.line(), bench.line("default:solo")) == ("a b", "")


def test_a_job_lost_twice_goes_to_the_solo_lane(bench: Bench) -> None:
    bench.enqueue("a")
    lose(bench, "a", times=2)
    assert (bench.line(), bench.line("default:solo")) == ("", "a")
    assert bench.tokens("default:solo") == 1
    (job,) = bench.claim_all(solo=1).jobs
    assert job.losses == 2
    assert bench.commit("a", route="default:solo") == ""


def test_a_job_that_certainly_killed_its_process_runs_alone_from_the_first_loss_on(bench: Bench) -> None:
    bench.hold("a b")
    bench.reap(started="a", certain=True)
    assert (bench.line(), bench.line("default:solo"), bench.stored("losses", "a")) == ("b", "a", b"1")


def test_a_job_lost_for_the_third_time_is_buried(bench: Bench) -> None:
    bench.enqueue("a")
    bench.wait_for("a")
    lose(bench, "a", times=3)
    assert bench.place("a") == "dead"
    assert (bench.stored("result", "a"), bench.lasts("a"), bench.told()) == (b"lost", None, "a")
    assert bench.stored("jobs", "a")
    assert bench.counters()["dead"] == 1


def test_the_innocent_go_back_to_their_line_while_the_guilty_is_buried(bench: Bench) -> None:
    bench.enqueue("a")
    lose(bench, "a", times=2)
    bench.enqueue("b c")
    bench.claim(solo=1, io=2)
    assert bench.reap(started="a b") == Reaped(left=0, given_back=2, buried=1)
    assert bench.line() == "b c"


def test_a_job_that_finished_starts_again_without_losses_under_the_same_id(bench: Bench) -> None:
    bench.enqueue("a")
    lose(bench, "a", times=2)
    bench.claim(solo=1)
    bench.commit("a", ttl=0, route="default:solo")
    bench.enqueue("a")
    assert bench.claim_all().jobs[0].losses == 0


def test_a_reap_in_several_calls_keeps_the_order_and_fences_first(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    assert bench.reap() == Reaped(left=150, given_back=100, buried=0)
    assert bench.claim_all("w1").lease == "fenced"
    assert (bench.line(), bench.held()) == (" ".join(MANY[150:]), " ".join(MANY[:150]))
    assert bench.reap().left == 50
    assert bench.reap() == Reaped(left=0, given_back=50, buried=0)
    assert bench.line() == " ".join(MANY)


def test_a_reaper_that_dies_midway_is_continued_by_the_next(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.beat(w1="j000 j249")
    bench.reap()
    bench.register("w2")
    while (victim := bench.beat(w2="").victim) is not None:
        bench.reap(victim)
    assert bench.line() == " ".join(MANY)
    assert (bench.stored("losses", "j000"), bench.stored("losses", "j249")) == (b"1", b"1")


@pytest.mark.parametrize("last", ["", "j000 j249"], ids=["nothing at the last heartbeat", "two at the last heartbeat"])
@pytest.mark.parametrize("died", ["", "j001 j248"], ids=["nothing when it died", "two when it died"])
def test_whoever_goes_on_with_a_reap_counts_the_losses_that_its_first_call_named(
    bench: Bench, last: str, died: str
) -> None:
    bench.hold(" ".join(MANY))
    bench.beat(w1=last)
    bench.reap(started=died)
    bench.reap(started=None)
    bench.reap(started="j000 j002")
    assert bench.line() == " ".join(MANY)
    assert [name for name in MANY if bench.stored("losses", name)] == died.split()


def test_who_takes_a_process_for_dead_while_it_is_being_reaped_changes_no_losses(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.beat(w1="j000 j249")
    bench.reap(started=None)
    bench.reap(started="")
    bench.reap(started="")
    assert (bench.stored("losses", "j000"), bench.stored("losses", "j249")) == (b"1", b"1")
    assert bench.ask("EXISTS", bench.broker.key("worker", "w1")) == 0


def test_a_repeated_reap_of_a_process_that_is_forgotten_leaves_nothing_of_it(bench: Bench) -> None:
    bench.hold("a")
    bench.reap(started="a")
    bench.reap(started="a")
    assert bench.ask("EXISTS", bench.broker.key("worker", "w1")) == 0
    assert bench.stored("losses", "a") == b"1"


def test_jobs_not_yet_taken_back_are_still_its_own_to_commit(bench: Bench) -> None:
    bench.hold(" ".join(MANY))
    bench.reap()
    assert bench.commit("j000 j249") == "j249"
    bench.reap()
    bench.reap()
    assert bench.line() == " ".join(MANY[1:])


def test_reap_wakes_fetchers_for_what_it_put_back(bench: Bench) -> None:
    bench.hold("a b")
    bench.hold("m", route="mail:cpu")
    bench.hear()
    bench.hear("mail:cpu")
    bench.reap()
    assert (bench.tokens(), bench.tokens("mail:cpu")) == (1, 1)


def test_a_host_with_short_leases_does_not_cut_those_of_a_host_with_long_ones(bench: Bench) -> None:
    """What is an outage for one is a usual silence between two heartbeats of the other."""
    bench.run(calls.register("slow", 300, {}))
    bench.run(calls.heartbeat(300, 180, {"slow": b""}))
    bench.clock.advance(12)
    bench.run(calls.register("quick", 15, {}))
    for _ in range(8):
        beat = bench.run(calls.heartbeat(15, 9, {"quick": b"", "w1": b""}))
        assert (beat.lost, beat.victim) == ((), None)
        bench.clock.advance(3)
