"""The verdict of the soak: what grows is found, what only wavers is not."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from taskq.broker.keys import MODEL
from tests.soak.report import Series, table
from tests.soak.tolerances import STATS, tolerance_of
from tests.soak.verdict import Tolerance, Verdict, judge, line

NONE = Tolerance(0.0, 1e9)
LITTLE = Tolerance(1.0, 8.0)
FIVE_MINUTES = [3.0 * number for number in range(101)]


def verdict(value: Callable[[float], float], tolerance: Tolerance = LITTLE) -> Verdict:
    return judge("gauge", FIVE_MINUTES, [value(at) for at in FIVE_MINUTES], tolerance)


def wavering(seed: int, memory: float = 0.0) -> Callable[[float], float]:
    """Noise of size 1 around 50; `memory`: how much a value resembles the one before it."""
    chance, last = random.Random(seed), 0.0

    def value(_: float) -> float:
        nonlocal last
        last = memory * last + chance.gauss(0.0, (1 - memory**2) ** 0.5)
        return 50.0 + last

    return value


def test_what_is_constant_does_not_grow() -> None:
    found = verdict(lambda at: 42.0, NONE)
    assert (found.median, found.largest, found.growth, found.noise) == (42.0, 42.0, 0.0, 0.0)
    assert not found.grows
    assert not found.spikes


def test_what_grows_steadily_is_found_with_how_much_it_gained_in_the_second_half() -> None:
    found = verdict(lambda at: 42.0 + at / 100)
    assert found.growth == pytest.approx(1.5)
    assert found.grows


def test_what_grows_less_than_is_tolerated_is_not_told() -> None:
    assert not verdict(lambda at: 42.0 + at / 200).grows


def test_growth_is_found_in_noise() -> None:
    noise = wavering(1)
    assert verdict(lambda at: noise(at) + at / 50).grows


def test_warming_up_in_the_first_half_is_no_growth() -> None:
    assert not verdict(lambda at: min(at, 149.0), NONE).grows


def test_a_sawtooth_is_no_growth() -> None:
    assert not verdict(lambda at: 40.0 + at % 30 / 5).grows


def test_what_shrinks_does_not_grow() -> None:
    assert not verdict(lambda at: 42.0 - at / 100, NONE).grows


def test_one_large_sample_is_a_spike() -> None:
    found = verdict(lambda at: 60.0 if at == 240.0 else 50.0)
    assert found.spikes
    assert not found.grows
    assert not verdict(lambda at: 57.0 if at == 240.0 else 50.0).spikes


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_noise_alone_is_seldom_called_growth_even_if_samples_resemble_their_neighbours(memory: float) -> None:
    called = sum(verdict(wavering(seed, memory), NONE).grows for seed in range(300))
    assert called / 300 < 0.15, "2 % if samples are independent"


def test_the_line_and_its_error_are_those_of_the_textbook() -> None:
    slope, error = line([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 4.0])
    assert slope == pytest.approx(0.8)
    assert error == pytest.approx((3.6 / 3 / 10) ** 0.5), "residuals that jump to and fro are not alike"


def test_too_few_samples_have_no_verdict() -> None:
    with pytest.raises(ValueError, match="2 samples of 'gauge' in the second half are too few"):
        judge("gauge", [0.0, 1.0, 2.0], [1.0, 1.0, 1.0], LITTLE)


@pytest.mark.parametrize("gauge", ["child 0: pss MB", "recycled: files", *(f"redis: keys {row}" for row in MODEL)])
def test_every_gauge_has_a_tolerance(gauge: str) -> None:
    assert tolerance_of(gauge, 30.0).growth > 0


def test_counters_of_every_minute_may_grow_by_one_a_minute() -> None:
    assert tolerance_of(STATS, 30.0).growth == 31.0


def test_the_table_marks_what_grows_and_leaves_out_what_never_was() -> None:
    series = Series()
    for at in FIVE_MINUTES:
        series.add(at, {"child 0: files": 10 + at, "child 0: threads": 8, "redis: keys dead": 0})
    head, files, threads = table(series.verdicts()).splitlines()
    assert head.split() == ["gauge", "median", "largest", "growth", "+-", "tolerated"]
    assert files.split() == ["child", "0:", "files", "235", "310", "150", "0", "2", "GROWS"]
    assert threads.split() == ["child", "0:", "threads", "8.0", "8.0", "0.0", "0.0", "1.0"]


def test_a_gauge_that_a_sample_lacks_is_nothing_in_it() -> None:
    series = Series()
    for at in FIVE_MINUTES:
        series.add(at, {"redis: keys dead": 5} if at > 270 else {})
    (found,) = series.verdicts()
    assert (found.median, found.largest) == (0.0, 5)
