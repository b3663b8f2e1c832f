"""The samples of a soak, and the table that says which gauges stayed constant."""

from __future__ import annotations

from collections.abc import Sequence

from tests.soak.gauges import Sample
from tests.soak.tolerances import tolerance_of
from tests.soak.verdict import LAST_HALF, Verdict, judge

_HEAD = ("gauge", "median", "largest", "growth", "+-", "tolerated", "")


class Series:
    """Samples in time. `times` in seconds. A gauge that a sample does not have is 0 in it."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.samples: list[Sample] = []

    def add(self, at: float, sample: Sample) -> None:
        self.times.append(at)
        self.samples.append(sample)

    def verdicts(self) -> list[Verdict]:
        """One for each gauge, in the order in which they are first seen."""
        gauges = list(dict.fromkeys(gauge for sample in self.samples for gauge in sample))
        minutes = (self.times[-1] - self.times[0]) * (1 - LAST_HALF) / 60
        return [
            judge(gauge, self.times, [sample.get(gauge, 0.0) for sample in self.samples], tolerance_of(gauge, minutes))
            for gauge in gauges
        ]


def table(verdicts: Sequence[Verdict]) -> str:
    """A row for each gauge that was ever above 0, all of the second half."""
    rows = [_HEAD, *(_row(verdict) for verdict in verdicts if verdict.largest)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" if at in (0, 6) else f"{cell:>{width}}" for at, (cell, width) in enumerate(zipped))
        for zipped in (list(zip(row, widths, strict=True)) for row in rows)
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    digits = 2 if verdict.gauge.endswith("MB") else 0 if verdict.median > 20 else 1
    numbers = (verdict.median, verdict.largest, verdict.growth, verdict.noise, verdict.tolerance.growth)
    word = "GROWS" if verdict.grows else "SPIKES" if verdict.spikes else verdict.tolerance.why
    return (verdict.gauge, *(f"{number:.{digits}f}" for number in numbers), word)
