"""How many jobs a lane may take."""

from __future__ import annotations

import pytest

from taskq_workers.budget import AHEAD, MOST_AHEAD, STALLED, Budget


def working(slots: int, took: float) -> Budget:
    """The account of a lane whose jobs have been taking `took` seconds, with all slots free."""
    budget = Budget(slots)
    budget.took(slots, 0.0)
    budget.ended(slots, took, 0.0)
    return budget


def test_a_lane_takes_a_job_for_each_slot_until_it_is_known_how_long_they_take() -> None:
    budget = Budget(8)
    assert (budget.room(), budget.ahead()) == (8, 0)
    budget.took(5, now=0.0)
    assert budget.room() == 3
    budget.took(3, now=0.0)
    assert budget.room() == 0


@pytest.mark.parametrize(
    ("took", "ahead"),
    [(1.0, 0), (0.05, 3), (0.02, 8), (0.01, 16), (0.001, 160), (0.0001, MOST_AHEAD), (0.0, MOST_AHEAD)],
)
def test_beyond_its_slots_a_lane_holds_twenty_milliseconds_of_work(took: float, ahead: int) -> None:
    budget = working(8, took)
    assert AHEAD == 0.02
    assert (budget.ahead(), budget.room()) == (ahead, 8 + ahead)


def test_long_jobs_never_wait_behind_one_another() -> None:
    budget = working(1, 60.0)
    budget.took(1, now=0.0)
    assert (budget.room(), budget.waiting()) == (0, False)


def test_a_lane_that_holds_more_than_it_may_has_no_room() -> None:
    budget = working(4, 0.001)
    budget.took(84, now=0.0)
    for _ in range(20):
        budget.ended(1, 10.0, now=1.0)
    assert budget.outstanding == 64
    assert budget.room() == 0


def test_the_average_follows_the_jobs_that_end_an_eighth_for_each_round_of_the_slots() -> None:
    budget = working(4, 0.001)
    budget.took(4, now=0.0)
    budget.ended(1, 0.101, now=0.0)
    assert budget.ahead() == int(4 * AHEAD / (0.001 + 0.1 / 4 / 8))


def test_one_short_job_among_long_ones_does_not_make_a_lane_of_one_slot_hoard() -> None:
    budget = working(1, 0.1)
    budget.took(1, now=0.0)
    budget.ended(1, 0.0001, now=0.0)
    assert budget.ahead() == 0


def test_many_short_jobs_after_a_long_one_are_believed_in_the_end() -> None:
    budget = working(2, 10.0)
    for _ in range(200):
        budget.took(100, now=0.0)
        budget.ended(100, 0.0099, now=0.0)
    assert budget.ahead() == 4


def test_a_job_waits_when_there_are_more_than_slots() -> None:
    budget = working(2, 0.001)
    budget.took(2, now=0.0)
    assert not budget.waiting()
    budget.took(1, now=0.0)
    assert budget.waiting()


def test_a_lane_stalls_when_no_job_ends_though_others_wait() -> None:
    budget = working(2, 0.001)
    budget.took(3, now=100.0)
    assert not budget.stalled(now=100.0 + STALLED)
    assert budget.stalled(now=100.01 + STALLED)
    budget.ended(1, 0.2, now=100.2)
    assert not budget.stalled(now=200.0), "the last two have a slot each"


def test_each_end_of_a_job_puts_the_stall_off() -> None:
    budget = working(2, 0.001)
    budget.took(20, now=0.0)
    for tenth in range(1, 11):
        assert not budget.stalled(now=tenth * 0.09)
        budget.ended(1, 0.001, now=tenth * 0.09)


def test_taking_more_does_not_put_the_stall_off() -> None:
    budget = working(2, 0.001)
    budget.took(3, now=0.0)
    budget.took(1, now=0.09)
    assert budget.stalled(now=0.11)


def test_a_lane_that_was_idle_is_not_stalled_the_moment_it_gets_work() -> None:
    budget = working(2, 0.001)
    budget.took(30, now=1000.0)
    assert not budget.stalled(now=1000.05)


def test_what_was_taken_back_leaves_and_the_next_claim_is_careful() -> None:
    budget = working(2, 0.001)
    budget.took(30, now=0.0)
    budget.withdrawn(28)
    assert (budget.outstanding, budget.ahead(), budget.room()) == (2, 0, 0)
    budget.ended(2, 0.0024, now=5.0)
    assert budget.room() == 2


def test_withdrawing_before_any_job_ended_is_careful_too() -> None:
    budget = Budget(2)
    budget.took(2, now=0.0)
    budget.withdrawn(2)
    assert (budget.outstanding, budget.room()) == (0, 2)
