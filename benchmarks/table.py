"""The findings as a table for a terminal, and as Markdown: a row for each figure, a column for each system."""

from __future__ import annotations

from benchmarks.figures import MEASURES, Figure
from benchmarks.findings import Findings

NOTHING = "-"


def show(findings: Findings) -> str:
    """The table as text; the best value of a row is marked with a star."""
    systems = list(findings.systems)
    rows = [["", *systems], *_rows(findings, systems, star="*")]
    width = max(len(row[0]) for row in rows)
    columns = [max(len(row[at]) for row in rows) for at in range(1, len(systems) + 1)]
    table = [
        f"{row[0]:{width}}  " + "  ".join(f"{cell:>{size}}" for cell, size in zip(row[1:], columns, strict=True))
        for row in rows
    ]
    return "\n".join([*table, "", *_notes(findings)])


def markdown(findings: Findings) -> str:
    """The table as Markdown; the best value of a row is bold."""
    systems = list(findings.systems)
    head = [f"| | {' | '.join(systems)} |", f"|---|{'---:|' * len(systems)}"]
    rows = [f"| {' | '.join(row)} |" for row in _rows(findings, systems, star="**")]
    notes = [f"- {note.strip()}" for note in _notes(findings)]
    return "\n".join([*head, *rows, "", *notes])


def _rows(findings: Findings, systems: list[str], star: str) -> list[list[str]]:
    figures = [figure for measure in MEASURES for figure in measure.figures if figure.name in findings.values]
    return [
        [
            f"{figure.title.replace('  ', '&nbsp;&nbsp;') if star == '**' else figure.title}, {figure.unit}",
            *_cells(findings, figure, systems, star),
        ]
        for figure in figures
    ]


def _cells(findings: Findings, figure: Figure, systems: list[str], star: str) -> list[str]:
    values = {system: findings.median(figure.name, system) for system in systems}
    known = [value for value in values.values() if value is not None]
    best = (max if figure.better == "more" else min)(known, default=None)
    cells = []
    for value in values.values():
        text = NOTHING if value is None else f"{value:,.{figure.digits}f}"
        closing = star if star == "**" else ""
        cells.append(f"{star}{text}{closing}" if value is not None and value == best else text)
    return cells


def _notes(findings: Findings) -> list[str]:
    machine = findings.machine
    lines = [
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, Redis {machine['redis']} beside it, "
        f"{machine['when']}; medians; best marked"
    ]
    for name, system in findings.systems.items():
        promise = "" if system["acknowledges"] else "NOT ACKNOWLEDGED: "
        note = f"; {promise}{system['note']}" if system["note"] else ""
        lines.append(f"  {name} {system['version']}: {system['settings']}{note}")
    for measure, failed in findings.failures.items():
        lines += [f"  {name}, {measure}: {why}" for name, why in failed.items()]
    return lines
