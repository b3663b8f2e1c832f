"""A short storm. `python -m tests.faults` has it as long as you like."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import journals
from tests.faults.realm import realm
from tests.faults.storm import Plan, Storm
from tests.faults.verdict import judge


def test_nothing_is_lost_and_nothing_has_two_outcomes_in_a_short_storm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "journals"
    folder.mkdir()
    monkeypatch.setenv(journals.FOLDER, str(folder))
    with realm(folder, tmp_path / "tools") as home:
        storm = Storm(home.site, Plan(seconds=8, seed=4, rate=150, pause=0.4), home.faults(), home.mend)
        seen = storm.run()
    verdict = judge(seen)
    assert verdict.findings == [], verdict.summary()
    assert len(seen.journals.acks) > 100
    assert len(seen.faults) > 10
