"""What becomes of a job: every outcome at every attempt."""

from __future__ import annotations

from itertools import product

import pytest

from taskq.codec import ErrorInfo
from taskq.lifecycle import (
    PATIENCE,
    Bury,
    Delay,
    Failed,
    Finish,
    Malformed,
    Outcome,
    Park,
    Policy,
    RetryAsked,
    Succeeded,
    Unknown,
    decide,
)
from taskq.retry import Backoff

ERROR = ErrorInfo(type="builtins.ValueError", text="bad image")
BACKOFF = Backoff(base=10.0, cap=35.0)
CHANCE = 0.5
WAITS = {1: 5.0, 2: 10.0, 3: 17.5, 4: 17.5, 5: 17.5}
"""Half of 10, of 20, and of the cap."""
EVERY_TRY = list(product(range(4), range(1, 6)))
"""(retries, attempt); more attempts than there should be happen where a task was deployed with fewer retries."""


def step(outcome: Outcome, retries: int, attempt: int) -> object:
    return decide(Policy(retries=retries, backoff=BACKOFF), attempt, outcome, CHANCE)


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
def test_a_job_that_succeeded_is_finished_at_any_attempt(retries: int, attempt: int) -> None:
    assert step(Succeeded(b"record"), retries, attempt) == Finish(b"record")


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
def test_a_job_that_failed_is_delayed_until_its_retries_are_used_up(retries: int, attempt: int) -> None:
    expected = Delay(WAITS[attempt], ERROR) if attempt <= retries else Bury(ERROR)
    assert step(Failed(ERROR), retries, attempt) == expected


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
def test_a_final_failure_is_buried_at_any_attempt(retries: int, attempt: int) -> None:
    assert step(Failed(ERROR, final=True), retries, attempt) == Bury(ERROR)


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
@pytest.mark.parametrize("asked", [None, 0.0, 99.0])
def test_a_job_that_asks_for_a_retry_names_its_delay_or_takes_the_backoff(
    asked: float | None, retries: int, attempt: int
) -> None:
    wait = WAITS[attempt] if asked is None else asked
    expected = Delay(wait, ERROR) if attempt <= retries else Bury(ERROR)
    assert step(RetryAsked(ERROR, asked), retries, attempt) == expected


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
def test_a_job_of_an_unknown_task_is_parked_for_ten_minutes(retries: int, attempt: int) -> None:
    assert PATIENCE == 600.0
    assert step(Unknown(), retries, attempt) == Park(600.0)


@pytest.mark.parametrize(("retries", "attempt"), EVERY_TRY)
def test_a_job_that_cannot_be_read_is_buried_at_any_attempt(retries: int, attempt: int) -> None:
    assert step(Malformed(ERROR), retries, attempt) == Bury(ERROR)


def test_three_retries_are_four_attempts() -> None:
    steps = [step(Failed(ERROR), retries=3, attempt=attempt) for attempt in range(1, 5)]
    assert [type(each).__name__ for each in steps] == ["Delay", "Delay", "Delay", "Bury"]
