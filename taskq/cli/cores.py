"""How many cores this process may use: what `--procs auto` means."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


def cores(root: Path = Path("/"), affinity: int | None = None) -> int:
    """The cores of the scheduler's affinity, at most the cpu quota of the control groups (rounded up), at least 1.

    `root` is where /proc and /sys are found, `affinity` how many cores the scheduler allows, where that is known.
    """
    return max(1, min([affinity or _allowed(), *_quotas(root)]))


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[int]:
    """Of the groups of this process and of those above them.

    Version 2 has "150000 100000" (or "max 100000") in cpu.max, version 1 the two numbers (or -1) in two files.
    """
    groups, mine = root / "sys/fs/cgroup", _groups(root)
    for folder in _upward(groups, mine.get("", "")):
        yield from _whole(*_read(folder / "cpu.max").split()[:2])
    for name in ("cpu", "cpu,cpuacct", "cpuacct,cpu"):
        for folder in _upward(groups / name, mine.get("cpu", "")):
            yield from _whole(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _whole(quota: str = "", period: str = "") -> Iterator[int]:
    if quota.isdigit() and period.isdigit() and int(period):
        yield math.ceil(int(quota) / int(period))


def _upward(mount: Path, group: str) -> Iterator[Path]:
    """The folder of a group, where this container sees it, and those above it up to the mount."""
    folder = mount / group
    yield from (path for path in (folder, *folder.parents) if path == mount or mount in path.parents)


def _groups(root: Path) -> dict[str, str]:
    """The paths of this process's groups below their mounts: by controller in version 1, by "" in version 2."""
    lines = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    found = [(names, path.strip("/")) for _, names, path in (line for line in lines if len(line) == 3)]
    return {name: "" if ".." in path else path for names, path in found for name in names.split(",")}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
