"""A short storm. `python -m tests.faults` has it as long as you like."""

from __future__ import annotations

from tests.faults.site import Site
from tests.faults.storm import Plan, Storm
from tests.faults.verdict import judge


def test_nothing_is_lost_and_nothing_has_two_outcomes_in_a_short_storm(site: Site) -> None:
    seen = Storm(site, Plan(seconds=8, seed=4, rate=150, pause=0.4)).run()
    verdict = judge(seen)
    assert verdict.findings == [], verdict.summary()
    assert len(seen.journals.acks) > 100
    assert len(seen.faults) > 10
