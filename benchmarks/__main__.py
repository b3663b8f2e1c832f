"""taskq and its peers on the same work, in turn, on this machine.

python -m benchmarks [--systems taskq,huey] [--measures drain,latency] [--runs 3] [--out .bench/findings.json] [--add]

Round for round each measure runs for one system after the other (A B A B), each time on a fresh Redis; the table shows
medians. What takes minutes (`once`) is measured in the first round only. Everything runs on this machine's loopback.
The measure "guide" is a table of its own, of taskq beside the standard library (`python -m benchmarks.guide`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import environments
from benchmarks.catalogue import SYSTEMS, System
from benchmarks.charts import draw
from benchmarks.figures import MEASURES, Measure
from benchmarks.findings import Findings, describe_machine
from benchmarks.guide import __main__ as guide
from benchmarks.lab import lab
from benchmarks.table import show

T = TypeVar("T")
GUIDE = "guide"


def main(words: Sequence[str]) -> int:
    """Install, measure, report."""
    asked = _parse(words)
    measures = [measure for measure in asked.measures if measure != GUIDE]
    failed = _peers(asked, measures) if measures else 0
    return guide.main([f"--runs={asked.runs}"]) or failed if GUIDE in asked.measures else failed


def _peers(asked: argparse.Namespace, measures: Sequence[Measure]) -> int:
    """taskq and its peers."""
    findings = Findings.read(asked.out) if asked.add else Findings()
    for system in asked.systems:
        _say(f"installing {system.name}")
        environments.install(system)
        findings.systems[system.name] = _describe(system)
    with lab(asked.systems[0]) as place:
        findings.machine = describe_machine(place.redis.info("server")["redis_version"])
    for number, measure, system in _turns(asked, measures):
        _say(f"round {number} of {asked.runs}: {measure.name}, {system.name}")
        _measure(measure, system, findings)
        findings.write(asked.out)
    print(show(findings))
    draw(findings, asked.out.parent)
    return 1 if findings.failures else 0


def _turns(asked: argparse.Namespace, measures: Sequence[Measure]) -> Iterator[tuple[int, Measure, System]]:
    """Round for round, measure for measure, each system in its turn."""
    for number in range(1, asked.runs + 1):
        for measure in measures:
            for system in asked.systems if number == 1 or not measure.once else ():
                yield number, measure, system


def _measure(measure: Measure, system: System, findings: Findings) -> None:
    """One run. One that does not come to its end is told in the report, and does not stop the others."""
    try:
        findings.add(system.name, measure.run(system))
        findings.succeeded(measure.name, system.name)
    except Exception as error:
        _say(f"{measure.name}, {system.name}: {error}")
        findings.failures.setdefault(measure.name, {})[system.name] = str(error) or type(error).__name__


def _describe(system: System) -> dict[str, object]:
    found = environments.versions(system)
    main = "taskq-redis" if system.name == "taskq" else system.packages[0].partition("[")[0]
    return {
        "version": found.get(main, "?"),
        "packages": found,
        "settings": system.settings,
        "acknowledges": system.acknowledges,
        "note": system.note,
    }


def _parse(words: Sequence[str]) -> argparse.Namespace:
    measures: dict[str, Measure | str] = {measure.name: measure for measure in MEASURES} | {GUIDE: GUIDE}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--systems", type=_some_of(SYSTEMS), default=",".join(SYSTEMS), metavar="A,B")
    parser.add_argument("--measures", type=_some_of(measures), default=",".join(measures), metavar="A,B")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path, default=environments.BENCH / "findings.json", metavar="FILE")
    parser.add_argument("--add", action="store_true", help="add to what FILE has")
    return parser.parse_args(words)


def _some_of(known: Mapping[str, T]) -> Callable[[str], list[T]]:
    """Reads names with commas between them."""

    def read(names: str) -> list[T]:
        unknown = [name for name in names.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
        return [known[name] for name in names.split(",")]

    return read


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
