"""The findings as pictures: one chart of bars for each of a few figures, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import MEASURES, Figure
from benchmarks.findings import Findings

OURS, THEIRS, INK, FAINT = "#0f766e", "#94a3b8", "#1e293b", "#cbd5e1"
SHOWN = {
    "throughput": {
        "drain_rate": "no-op jobs run, results stored, jobs/s",
        "enqueue_rate": "enqueued one by one, jobs/s",
        "enqueue_many_rate": "enqueued in bulk, jobs/s",
        "gather_work_rate": "enqueued, run, gathered, jobs/s",
    },
    "latency": {
        "start_p50_ms": "enqueue to start, idle, p50, ms",
        "start_p99_ms": "enqueue to start, idle, p99, ms",
        "result_p50_ms": "enqueue to result, idle, p50, ms",
        "beside_p99_ms": "io jobs beside cpu jobs, p99, ms",
    },
    "cost": {
        "drain_us": "CPU a job, worker and Redis, us",
        "queued_bytes": "Redis memory a queued job, B",
        "pss_after_mb": "PSS of the worker after a drain, MB",
        "start_seconds": "worker's start to first job, s",
    },
}
"""The pictures by name, and the figures in each with what is written over them."""


def draw(findings: Findings, folder: Path) -> list[Path]:
    """Write a picture for each group of figures that were measured; the answer is which. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "taskq", "font.family": "DejaVu Sans", "text.color": INK}
    written = []
    known = {figure.name: figure for measure in MEASURES for figure in measure.figures}
    for name, wanted in SHOWN.items():
        captions = {known[figure]: caption for figure, caption in wanted.items() if figure in findings.values}
        if captions:
            written += _picture(findings, captions, folder / name)
    return written


def _picture(findings: Findings, captions: dict[Figure, str], stem: Path) -> list[Path]:
    from matplotlib import pyplot

    systems = list(findings.systems)
    sheet, axes = pyplot.subplots(
        1, len(captions), figsize=(3.6 * len(captions), 0.34 * len(systems) + 1.0), squeeze=False
    )
    for axis, (figure, caption) in zip(axes[0], captions.items(), strict=True):
        _bars(axis, findings, figure, systems)
        axis.set_title(f"{caption}\n({figure.better} is better)", fontsize=9, loc="left")
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
    axis.margins(x=0.22)
    axis.tick_params(axis="y", length=0, labelsize=9)
    axis.set_xticks([])
    for side, spine in axis.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(FAINT)
