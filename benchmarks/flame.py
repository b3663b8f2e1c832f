"""Where a worker's time goes: a flame graph of one worker process while it drains no-op jobs.

python -m benchmarks.flame [FOLDER]               writes flame.png and flame.svg; needs py-spy and its rights

Each box is a function, as wide as its share of the samples, on top of the one that called it. What is below 0.4 % is
left out. Only samples that hold the GIL count: the rest is waiting.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from benchmarks.catalogue import TASKQ
from benchmarks.lab import lab

JOBS, SECONDS, RATE = 400_000, 4, 500
LEAST = 0.004
COLOURS = {"taskq_workers": "#0f766e", "taskq": "#14b8a6", "redis": "#f59e0b"}
OTHER = "#94a3b8"
BEGINNINGS = ("Child.run (", "ThreadLane._work (")
"""Where the main thread and the threads of a lane begin with what is theirs."""
Stack = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One function in one place: where it begins and how wide it is (shares of all samples), and how deep it stands."""

    name: str
    left: float
    width: float
    depth: int


def main(folder: Path) -> None:
    """Record, draw."""
    environments.install(TASKQ)
    folder.mkdir(parents=True, exist_ok=True)
    stacks = record()
    draw(boxes(stacks), sum(stacks.values()), folder / "flame")


def record() -> Counter[Stack]:
    """Samples of a busy worker process, by stack, outermost function first."""
    with lab(TASKQ) as place, tempfile.NamedTemporaryFile("r") as raw:
        place.fill(JOBS)
        with place.working() as workers:
            place.wait_for_first(workers, JOBS)
            child = workers.processes()[1]
            flags = ["-r", str(RATE), "-d", str(SECONDS), "--gil", "--nonblocking", "--function", "-f", "raw"]
            command = [Path(sys.executable).with_name("py-spy"), "record", *flags, "-o", raw.name, "-p", str(child)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return read(raw.read().splitlines())


def read(lines: Iterable[str]) -> Counter[Stack]:
    """Lines like "outer (file.py);inner (file.py) 12". What leads to the exchange and to the threads is cut off."""
    stacks: Counter[Stack] = Counter()
    for line in lines:
        names, _, count = line.rpartition(" ")
        frames = names.split(";")
        begin = next((at for at, frame in enumerate(frames) if frame.startswith(BEGINNINGS)), 0)
        stacks[tuple(frames[begin:])] += int(count)
    return stacks


def boxes(stacks: Counter[Stack]) -> Iterator[Box]:
    """All boxes that are wide enough to be seen: depth first, from left to right in the order of their names."""
    total = sum(stacks.values())

    def below(prefix: Stack, left: float) -> Iterator[Box]:
        depth = len(prefix)
        inner: Counter[str] = Counter()
        for stack, count in stacks.items():
            if stack[:depth] == prefix and len(stack) > depth:
                inner[stack[depth]] += count
        for name, count in sorted(inner.items()):
            if count / total >= LEAST:
                yield Box(name, left, count / total, depth)
                yield from below((*prefix, name), left)
            left += count / total

    return below((), 0.0)


def draw(shown: Iterable[Box], samples: int, stem: Path) -> None:
    """Write the graph as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "taskq", "font.family": "DejaVu Sans"}
    from matplotlib import pyplot

    shown = list(shown)
    sheet, axis = pyplot.subplots(figsize=(14, 0.26 * (2 + max(box.depth for box in shown))))
    for box in shown:
        colour = next((colour for part, colour in COLOURS.items() if f"({part}/" in box.name), OTHER)
        axis.barh(
            box.depth, box.width, 0.94, left=box.left, align="edge", color=colour, edgecolor="white", linewidth=0.6
        )
        letters = int(box.width * 210)
        if letters > 3:
            label = box.name.partition(" (")[0][:letters]
            axis.text(box.left + 0.001, box.depth + 0.47, label, va="center", fontsize=6.5, color="white", clip_on=True)
    axis.set_xlim(0, 1)
    axis.axis("off")
    axis.set_title(f"one worker process, no-op jobs, {samples} samples that hold the GIL", fontsize=9, loc="left")
    sheet.tight_layout()
    for suffix in (".png", ".svg"):
        sheet.savefig(stem.with_suffix(suffix), dpi=130, metadata={"Date": None} if suffix == ".svg" else None)
    pyplot.close(sheet)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else environments.BENCH)
