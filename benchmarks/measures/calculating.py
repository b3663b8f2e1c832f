"""Jobs that calculate, alone and beside jobs that wait."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from benchmarks.catalogue import System
from benchmarks.lab import SYSTEMS, lab, span
from taskq.cli.bench.figures import percentile

Numbers = dict[str, float]


def alone(system: System) -> Numbers:
    """100 ms of pure Python on 2 processes, as a multiple of what one process of plain Python does before or after."""
    jobs, rounds = 40, _rounds() // 10
    before = _plain(jobs // 4, rounds)
    with lab(system) as place:
        place.fill(jobs, "burn", 0.0, rounds)
        with place.working("cpu") as workers:
            took = span(place.notes(jobs, workers))
    return {"cpu_times": 4 * min(before, _plain(jobs // 4, rounds)) / took}


def beside(system: System) -> Numbers:
    """60 cpu jobs of 0.2 s in line, then an io job every 25 ms for 5 s: how late those start, when all are done."""
    jobs, rounds = 60, _rounds() // 5
    with lab(system) as place, place.working("mixed") as workers:
        place.drive("roundtrips", count=4)
        naps = place.drive("beside", jobs=jobs, rounds=rounds, gap=0.025, seconds=5.0)["naps"]
        notes = place.notes(jobs + int(naps), workers)
    late = [1000 * note.late for note in notes if note.sent]
    return {
        "beside_p50_ms": percentile(late, 0.5),
        "beside_p99_ms": percentile(late, 0.99),
        "beside_seconds": span(notes),
    }


@cache
def _rounds() -> int:
    """Rounds of `work.burn` that one second of plain Python makes here."""
    return round(2_000_000 / min(_plain(4, 500_000) for _ in range(3)))


def _plain(jobs: int, rounds: int) -> float:
    """Seconds that one process of plain Python takes for as many calls of `work.burn`."""
    program = (
        "import json, time, work\nwork.burn(0.0, 100_000)\nbegan = time.monotonic()\n"
        f"for _ in range({jobs}): work.burn(0.0, {rounds})\nprint(json.dumps(time.monotonic() - began))"
    )
    environment = {"PYTHONPATH": str(SYSTEMS), "BENCH_REDIS": ""}
    out = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return float(json.loads(out.stdout))
