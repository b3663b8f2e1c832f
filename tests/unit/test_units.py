"""Durations in, durations out; and sizes."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from taskq.errors import ConfigError
from taskq.units import MOST, brief, brief_size, seconds, size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (90, 90.0),
        (1.5, 1.5),
        (timedelta(minutes=2), 120.0),
        (timedelta(milliseconds=1), 0.001),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        ("45", 45.0),
        ("  10 m ", 600.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_seconds_a_timedelta_or_a_text_with_a_unit(value: Any, expected: float) -> None:
    got = seconds(value)
    assert (type(got), got) == (float, pytest.approx(expected))


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.001,
        float("nan"),
        float("inf"),
        10**400,
        sys.maxsize,
        timedelta.max,
        True,
        None,
        timedelta(seconds=-1),
        "",
        "m",
        "10 minutes",
        "-3s",
        "1e3",
        "1:30",
        "10M",
        "9" * 400,
        b"10s",
        Decimal(3),
        [1],
    ],
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="is not a duration\n  hint: seconds, a timedelta, or '250ms'"):
        seconds(value)


def test_the_longest_duration_is_one_that_every_lock_and_ttl_can_hold() -> None:
    assert seconds("36500d") == MOST < threading.TIMEOUT_MAX
    assert seconds(MOST) * 1000 < 2**53
    with pytest.raises(ConfigError):
        seconds("36501d")


def test_the_error_names_the_setting_and_the_value() -> None:
    with pytest.raises(ConfigError) as caught:
        seconds("soon", "timeout of task 'tasks.add'")
    assert str(caught.value).splitlines() == [
        "timeout of task 'tasks.add' 'soon' is not a duration",
        "  hint: seconds, a timedelta, or '250ms', '30s', '10m', '2h', '1d'; at most 100 years",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0ms"),
        (0.0004, "0ms"),
        (0.012, "12ms"),
        (0.9994, "999ms"),
        (0.9995, "1.0s"),
        (1.25, "1.2s"),
        (59.94, "59.9s"),
        (59.95, "1m00"),
        (245, "4m05"),
        (3599.4, "59m59"),
        (3599.6, "1h00"),
        (7800, "2h10"),
        (48 * 3600 - 61, "47h58"),
        (48 * 3600, "2d"),
        (3.7 * 86400, "3d"),
    ],
)
def test_a_duration_is_shown_as_people_read_it(value: float, shown: str) -> None:
    assert brief(value) == shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1048576, 1 << 20),
        ("1048576", 1 << 20),
        ("512M", 512 << 20),
        ("512 m", 512 << 20),
        ("512MB", 512 << 20),
        ("2GiB", 2 << 30),
        ("0.5g", 512 << 20),
        ("800K", 800 << 10),
        ("1T", 1 << 40),
    ],
)
def test_a_size_is_bytes_or_a_text_with_a_unit(value: Any, expected: int) -> None:
    got = size(value)
    assert (type(got), got) == (int, expected)


@pytest.mark.parametrize("value", [-1, 1.5, True, None, "", "M", "-1M", "1e9", "512 MM", "512X", "9" * 400, [1]])
def test_any_other_size_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_rss .* is not a size\n  hint: bytes, or '800K'"):
        size(value, "max_rss")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0B"), (900, "900B"), (1024, "1K"), (1536, "1.5K"), (512 << 20, "512M"), (3 << 29, "1.5G"), (5 << 40, "5T")],
)
def test_a_size_is_shown_as_people_read_it(value: int, shown: str) -> None:
    assert brief_size(value) == shown
