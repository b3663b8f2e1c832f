"""Durations as people write them: 90, 1.5, `timedelta(minutes=2)`, "250ms", "30s", "10m", "2h", "1d".

And sizes of memory: 1048576, "512M", "2G".
"""

from __future__ import annotations

import re
from datetime import timedelta

from taskq.errors import ConfigError, shown

Duration = float | int | timedelta | str

MOST = 100 * 365 * 86400.0
"""Seconds in a hundred years. More than that overflows what waits for it: a lock's timeout, a TTL in Redis."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)\s*")


def seconds(value: Duration, what: str = "duration") -> float:
    """`value` in seconds, at least 0. `what` names the setting in the error.

    Raises ConfigError for anything that is not a duration from 0 to a hundred years.
    """
    number = _number(value)
    if number is None or not 0 <= number <= MOST:
        raise ConfigError(
            f"{what} {shown(value)} is not a duration\n"
            "  hint: seconds, a timedelta, or '250ms', '30s', '10m', '2h', '1d'; at most 100 years"
        )
    return float(number)


def _number(value: object) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else None


_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)


def size(value: int | str, what: str = "size") -> int:
    """`value` in bytes: a number of them, or "800K", "512M", "1.5G", "2GiB", where K is 1024. `what` names the setting.

    Raises ConfigError for anything that is not a size.
    """
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found:
        return int(float(found[1]) * _SIZES[found[2].upper()])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ConfigError(f"{what} {shown(value)} is not a size\n  hint: bytes, or '800K', '512M', '2G'")


def brief_size(count: int) -> str:
    """`count` bytes as people read it at a glance: "900B", "12K", "512M", "1.5G"."""
    for unit in ("T", "G", "M", "K"):
        if count >= _SIZES[unit]:
            return f"{count / _SIZES[unit]:.{0 if count >= 10 * _SIZES[unit] else 1}f}".removesuffix(".0") + unit
    return f"{count}B"


def brief(seconds: float) -> str:
    """`seconds` as people read it at a glance: "12ms", "1.2s", "4m05", "2h10", "3d"."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes}m{round(seconds) % 60:02d}"
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes < 48 * 60 else f"{minutes // 1440}d"
