"""How many cores this process may use: what `--procs auto` means."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def cores(root: Path = Path("/")) -> int:
    """The cores of the scheduler's affinity, at most the cpu quota of the control groups (rounded up), at least 1.

    `root` is where /proc and /sys are found.
    """
    return max(1, min([_allowed(), *_quotas(root)]))


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[int]:
    """Of the group of this process and of those above it: cpu.max is "max 100000" or "150000 100000"."""
    groups = root / "sys/fs/cgroup"
    for folder in (group := groups / _group(root), *group.parents):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield math.ceil(int(quota) / int(period))
        if folder == groups:
            return


def _group(root: Path) -> str:
    """The path of this process's group (version 2) below the mount, as far as this container sees it."""
    lines = _read(root / "proc/self/cgroup").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "")
    return "" if ".." in path else path.strip("/")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
