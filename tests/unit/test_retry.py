"""When a failed job runs again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskq.errors import ConfigError
from taskq.retry import Backoff, Retry, make_backoff


def test_the_ceiling_doubles_from_two_seconds_up_to_ten_minutes() -> None:
    ceilings = [Backoff().delay(attempt, 1.0) for attempt in range(1, 12)]
    assert ceilings == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


def test_the_delay_is_drawn_evenly_from_zero_to_the_ceiling() -> None:
    backoff = Backoff(base=10.0, cap=100.0)
    assert [backoff.delay(2, chance) for chance in (0.0, 0.25, 0.5, 0.75)] == [0.0, 5.0, 10.0, 15.0]


def test_a_job_that_failed_a_thousand_times_still_waits_for_the_cap() -> None:
    assert Backoff(base=1.0, cap=60.0).delay(1000, 0.5) == 30.0


def test_a_base_above_the_cap_waits_for_the_cap() -> None:
    assert Backoff(base=100.0, cap=30.0).delay(1, 1.0) == 30.0


@pytest.mark.parametrize(
    ("value", "base"), [(None, 2.0), (5, 5.0), ("1m", 60.0), (timedelta(seconds=3), 3.0), (0, 0.0)]
)
def test_a_task_may_give_the_first_ceiling_as_any_duration(value: Any, base: float) -> None:
    assert make_backoff(value) == Backoff(base=base, cap=600.0)


def test_a_task_may_give_a_whole_backoff() -> None:
    backoff = Backoff(base=1.0, cap=3.0)
    assert make_backoff(backoff) is backoff


def test_a_backoff_that_is_no_duration_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^backoff 'slowly' is not a duration"):
        make_backoff("slowly")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"base": -1.0}, "base"),
        ({"base": float("nan")}, "base"),
        ({"cap": float("inf")}, "cap"),
        ({"cap": "high"}, "cap"),
        ({"base": None}, "base"),
    ],
)
def test_the_parts_of_a_backoff_are_checked_when_it_is_made_not_when_a_job_fails(fields: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=f"^{what} of Backoff .* is not a duration"):
        Backoff(**fields)


def test_the_parts_of_a_backoff_may_be_written_as_any_duration() -> None:
    fields: Any = {"base": "10s", "cap": timedelta(hours=1)}
    assert Backoff(**fields) == Backoff(base=10.0, cap=3600.0)


@pytest.mark.parametrize(("delay", "seconds"), [(None, None), (0, 0.0), ("10m", 600.0), (timedelta(seconds=5), 5.0)])
def test_retry_carries_its_delay_in_seconds(delay: Any, seconds: float | None) -> None:
    assert Retry(delay=delay).delay == seconds


def test_retry_says_why() -> None:
    assert str(Retry("the API is busy", delay=3)) == "the API is busy"
    assert str(Retry()) == ""


def test_retry_with_a_delay_that_is_none_is_refused_where_it_is_raised() -> None:
    with pytest.raises(ConfigError, match=r"^delay of Retry 'later' is not a duration"):
        Retry(delay="later")


def test_the_jobs_own_except_exception_does_not_eat_a_retry() -> None:
    assert not issubclass(Retry, Exception)
