"""A short round of plays in every test run; `python -m tests.simulation` gives a million steps of them."""

from __future__ import annotations

import pytest

from tests.simulation.play import RULES, WAITING
from tests.simulation.stage import perform

STEPS = 2500


@pytest.fixture(params=["fakeredis", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where plays are given: None for fakeredis. Skipped for "redis" where no server can be had."""
    found: str | None = None if request.param == "fakeredis" else request.getfixturevalue("redis_url")
    return found


@pytest.mark.parametrize(("seed", "rules"), [(1, WAITING), (2, RULES)], ids=["jobs wait", "no job waits"])
def test_every_promise_is_kept_whatever_goes_wrong(url: str | None, seed: int, rules: frozenset[str]) -> None:
    play = perform(url, seed, STEPS, rules=rules)
    assert play.steps >= STEPS
    assert play.again, "a play in which no job is run again has met no fault"


def test_a_seed_gives_the_same_play_on_either_kind_of_server(redis_url: str) -> None:
    assert perform(redis_url, 3, STEPS) == perform(None, 3, STEPS)
