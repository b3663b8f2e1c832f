"""The findings as pictures: one chart of bars for each of a few figures, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import MEASURES, Figure
from benchmarks.findings import Findings

OURS, THEIRS, INK, FAINT = "#0f766e", "#94a3b8", "#1e293b", "#cbd5e1"
SHOWN = (
    ("throughput", ("drain_rate", "enqueue_rate", "enqueue_many_rate", "gather_work_rate")),
    ("latency", ("start_p50_ms", "start_p99_ms", "result_p50_ms", "beside_p99_ms")),
    ("cost", ("drain_us", "queued_bytes", "idle_pss_mb", "idle_cpu_percent")),
)


def draw(findings: Findings, folder: Path) -> list[Path]:
    """Write a picture for each group of figures that were measured; the answer is which. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "taskq", "font.family": "DejaVu Sans", "text.color": INK}
    written = []
    for name, wanted in SHOWN:
        figures = [figure for figure in _figures(wanted) if figure.name in findings.values]
        if figures:
            written += _picture(findings, figures, folder / name)
    return written


def _figures(names: tuple[str, ...]) -> list[Figure]:
    known = {figure.name: figure for measure in MEASURES for figure in measure.figures}
    return [known[name] for name in names]


def _picture(findings: Findings, figures: list[Figure], stem: Path) -> list[Path]:
    from matplotlib import pyplot

    systems = list(findings.systems)
    sheet, axes = pyplot.subplots(
        1, len(figures), figsize=(3.6 * len(figures), 0.34 * len(systems) + 1.0), squeeze=False
    )
    for axis, figure in zip(axes[0], figures, strict=True):
        _bars(axis, findings, figure, systems)
    sheet.tight_layout(w_pad=2.0)
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for path in paths:
        sheet.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    pyplot.close(sheet)
    return paths


def _bars(axis: Any, findings: Findings, figure: Figure, systems: list[str]) -> None:
    """The systems from best to worst; those without a value are left out."""
    values = {system: findings.median(figure.name, system) for system in systems}
    known = {system: value for system, value in values.items() if value is not None}
    order = sorted(known, key=lambda system: known[system], reverse=figure.better == "less")
    axis.barh(order, [known[name] for name in order], color=[OURS if name == "taskq" else THEIRS for name in order])
    for at, name in enumerate(order):
        axis.annotate(
            f"{known[name]:,.{figure.digits}f}",
            (known[name], at),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_title(f"{figure.title.strip()}, {figure.unit}\n({figure.better} is better)", fontsize=9, loc="left")
    axis.margins(x=0.22)
    axis.tick_params(axis="y", length=0, labelsize=9)
    axis.set_xticks([])
    for side, spine in axis.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(FAINT)
