"""The guide's table, from what was measured."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.environments import ROOT
from benchmarks.findings import Findings
from benchmarks.guide.rows import PROCS, ROWS, THREADS, Row

PAGE, VALUES = ROOT / "docs" / "guide.md", ROOT / "docs" / "benchmarks" / "guide.json"
BEGIN, END = "<!-- the table: make bench -->", "<!-- end of the table -->"
WAYS = ("one by one", "standard", "taskq")
BEHIND = 0.9
"""Of the speed of the standard library's pools, at least."""
HEAD = """\
| | one after another | standard library | taskq | taskq is faster | of the standard library's speed |
|---|---:|---:|---:|---:|---:|"""


def table(findings: Findings) -> str:
    """Markdown: a row for each kind of work, and what it was measured on."""
    rows = [_row(findings, name, row) for name, row in ROWS.items() if _values(findings, name, "taskq")]
    machine = findings.machine
    runs = max(len(_values(findings, name, "taskq")) for name in ROWS)
    note = (
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, Redis {machine['redis']} beside it, "
        f"{machine['when']}; load of the machine before it began: {machine['load']:.1f}; "
        f"`taskq worker --procs {PROCS} --threads {THREADS}`; medians of {runs} rounds, times and ratios."
    )
    return "\n".join([HEAD, *rows, "", note])


def write_into(page: Path, findings: Findings) -> None:
    """Put the table between its two marks in `page`."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table(findings)}\n{END}{after}", encoding="utf-8")


def ratio(findings: Findings, name: str, way: str) -> float:
    """How many times as fast as `way` taskq was, in the median of the rounds."""
    rounds = zip(_values(findings, name, way), _values(findings, name, "taskq"), strict=True)
    return median(theirs / ours for theirs, ours in rounds)


def _values(findings: Findings, name: str, way: str) -> list[float]:
    return findings.values.get(name, {}).get(way, [])


def _row(findings: Findings, name: str, row: type[Row]) -> str:
    one, standard, taskq = (_time(median(_values(findings, name, way))) for way in WAYS)
    gain, beside = ratio(findings, name, "one by one"), ratio(findings, name, "standard")
    cells = [row.title, one, f"{standard} ({row.pool})", taskq]
    return f"| {' | '.join([*cells, _judged(gain, row.least), _judged(beside, BEHIND if row.beside else None)])} |"


def _judged(times: float, least: float | None) -> str:
    text = f"{times:.0f} x" if times >= 100 else f"{times:.1f} x" if times >= 10 else f"{times:.2f} x"
    return text if least is None or times >= least else f"{text} (aim: {least:g})"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
