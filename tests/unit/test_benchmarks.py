"""The pure parts of the benchmark: what is kept of a run, and how it is shown. Nothing is measured here."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import charts, figures, findings, table
from benchmarks.catalogue import SYSTEMS
from benchmarks.guide import __main__ as guide
from benchmarks.lab import Note, span
from taskq.cli.bench.figures import percentile


@pytest.fixture
def found() -> findings.Findings:
    found = findings.Findings(machine={"cores": 2, "cpu": "a CPU", "python": "3.11", "redis": "7.0", "when": "today"})
    for name, acknowledges in (("taskq", True), ("huey", False)):
        found.systems[name] = {"version": "1", "settings": "-w 2", "acknowledges": acknowledges, "note": "it is lost"}
    for rate in (50_000.0, 70_000.0, 60_000.0):
        found.add("taskq", {"drain_rate": rate, "queued_bytes": 148.0})
    found.add("huey", {"drain_rate": 4_000.0, "queued_bytes": 118.0})
    return found


def test_findings_come_back_from_their_file_as_they_were(found: findings.Findings, tmp_path: Path) -> None:
    found.write(tmp_path / "new" / "findings.json")
    assert findings.Findings.read(tmp_path / "new" / "findings.json") == found


def test_the_table_shows_medians_and_marks_the_best_also_where_it_is_not_ours(found: findings.Findings) -> None:
    rows = table.show(found).splitlines()
    assert rows[1].split() == ["drain,", "no-op", "jobs,", "results", "stored,", "jobs/s", "*60,000", "4,000"]
    assert rows[2].split() == ["Redis", "memory", "a", "queued", "job,", "B", "148", "*118"]
    assert "| **60,000** | 4,000 |" in table.markdown(found)


def test_the_table_tells_who_does_not_acknowledge_and_what_failed(found: findings.Findings) -> None:
    found.failures["drain"] = {"huey": "still has 3 jobs"}
    said = table.show(found)
    assert "huey 1: -w 2; NOT ACKNOWLEDGED: it is lost" in said
    assert "huey, drain: still has 3 jobs" in said


def test_a_system_without_a_value_has_a_dash(found: findings.Findings) -> None:
    found.add("taskq", {"async_seconds": 5.2})
    assert table.show(found).splitlines()[3].split()[-2:] == ["*5.20", "-"]


def test_the_charts_are_pictures_and_drawings(found: findings.Findings, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = charts.draw(found, tmp_path)
    assert {path.name for path in written} == {"throughput.png", "throughput.svg", "cost.png", "cost.svg"}
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert ET.parse(tmp_path / "throughput.svg").getroot().tag.endswith("svg")


def test_every_figure_has_one_name_and_every_chart_shows_figures_that_exist() -> None:
    names = [figure.name for measure in figures.MEASURES for figure in measure.figures]
    assert len(names) == len(set(names))
    assert {name for shown in charts.SHOWN.values() for name in shown} <= set(names)


def test_every_system_says_how_it_was_set_and_what_it_does_not_promise() -> None:
    for system in SYSTEMS.values():
        assert system.settings
        assert system.acknowledges or system.note
        assert Path(command.__file__).parent.joinpath("systems", f"{system.module}.py").is_file()


def test_rounds_take_turns_and_what_takes_minutes_is_done_once() -> None:
    asked = command._parse(["--systems", "taskq,huey", "--measures", "drain,idle", "--runs", "2"])
    turns = [(number, measure.name, system.name) for number, measure, system in command._turns(asked, asked.measures)]
    assert turns == [
        (1, "drain", "taskq"),
        (1, "drain", "huey"),
        (1, "idle", "taskq"),
        (1, "idle", "huey"),
        (2, "drain", "taskq"),
        (2, "drain", "huey"),
    ]


def test_the_guide_is_a_measure_of_its_own_that_needs_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(guide, "main", lambda words: told.append(words) or 0)
    assert command.main(["--measures", "guide", "--runs", "2"]) == 0
    assert told == [["--runs=2"]]


def test_an_unknown_system_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command._parse(["--systems", "taskq,sidekiq"])
    assert "there is no sidekiq; there are taskq, " in capsys.readouterr().err


def test_notes_of_jobs_tell_how_late_they_were_and_how_long_all_took() -> None:
    notes = [Note(1.0, 1.5, 2.0), Note(0.0, 1.2, 3.0)]
    assert notes[0].late == 0.5
    assert span(notes) == pytest.approx(1.8)
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
