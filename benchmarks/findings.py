"""What was found, in a form that lasts: JSON with every value of every run, and what it was measured on."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

Values = dict[str, dict[str, list[float]]]


@dataclass(slots=True)
class Findings:
    """`values`: by figure and system, one of each run. `failures`: by measure and system, why there are none."""

    machine: dict[str, Any] = field(default_factory=dict)
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, system: str, numbers: dict[str, float]) -> None:
        for figure, value in numbers.items():
            self.values.setdefault(figure, {}).setdefault(system, []).append(value)

    def succeeded(self, measure: str, system: str) -> None:
        """Forget that it failed in an earlier round."""
        failed = self.failures.get(measure, {})
        failed.pop(system, None)
        if not failed:
            self.failures.pop(measure, None)

    def median(self, figure: str, system: str) -> float | None:
        found = self.values.get(figure, {}).get(system)
        return median(found) if found else None

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def read(path: Path) -> Findings:
        return Findings(**json.loads(path.read_text()))


def describe_machine(redis_version: str) -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "cpu": cpu[0] if cpu else platform.machine(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "redis": redis_version,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
