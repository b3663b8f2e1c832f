"""Does a gauge grow? A straight line through the second half of its samples, against what is tolerated.

    growth    slope of the least squares line x length of the half: what the gauge gained in it
    noise     two standard errors of that; samples that resemble their neighbours count for fewer
    spike     the largest sample above the median

It grows where `growth - noise` is more than is tolerated, or the spike is. The first half is for warming up. What is
tolerated is a fixed amount, so the longer the soak, the slower a leak it finds: a megabyte is 11 bytes a job in an hour
(90,000 jobs of a child in its second half), and 130 bytes in five minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

LAST_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`growth` in the second half and `spike` above its median, in the gauge's unit. `why`: if it is not obvious."""

    growth: float
    spike: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one gauge, in its unit."""

    gauge: str
    median: float
    largest: float
    growth: float
    noise: float
    tolerance: Tolerance

    @property
    def grows(self) -> bool:
        return self.growth - self.noise > self.tolerance.growth

    @property
    def spikes(self) -> bool:
        return self.largest - self.median > self.tolerance.spike


def judge(gauge: str, times: Sequence[float], values: Sequence[float], tolerance: Tolerance) -> Verdict:
    """The verdict over samples taken at `times` (seconds, rising). At least 4 are needed in the second half."""
    begin = times[0] + (times[-1] - times[0]) * LAST_HALF
    half = [(at, value) for at, value in zip(times, values, strict=True) if at >= begin]
    if len(half) < 4:
        raise ValueError(f"{len(half)} samples of {gauge!r} in the second half are too few")
    at, of = [at for at, _ in half], [value for _, value in half]
    slope, error = line(at, of)
    length = at[-1] - at[0]
    return Verdict(gauge, median(of), max(of), slope * length, 2 * error * length, tolerance)


def line(at: Sequence[float], of: Sequence[float]) -> tuple[float, float]:
    """Slope of the least squares line, and its standard error.

    The error is for independent samples, times sqrt((1 + r) / (1 - r)), where r is how much a residual resembles the
    one before it (their correlation): so many fewer samples it is worth.
    """
    middle, mean_of = mean(at), mean(of)
    spread = sum((x - middle) ** 2 for x in at)
    slope = sum((x - middle) * (y - mean_of) for x, y in zip(at, of, strict=True)) / spread
    rest = [y - mean_of - slope * (x - middle) for x, y in zip(at, of, strict=True)]
    squares = sum(r * r for r in rest)
    if squares == 0:
        return slope, 0.0
    alike = sum(before * after for before, after in pairwise(rest)) / squares
    alike = min(max(alike, 0.0), 0.9)
    return slope, math.sqrt(squares / (len(at) - 2) / spread * (1 + alike) / (1 - alike))
