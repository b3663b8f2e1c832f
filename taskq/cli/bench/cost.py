"""What a process and all that descend from it have cost: of /proc, or of `ps` where there is no /proc.

`getrusage` would not do: it tells of children only when they have ended, with what their start has cost.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskq.cli.cores import cores

_PROC = Path("/proc")
_PS = ("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "time=")
_PS_LINE = re.compile(r"\s*(\d+)\s+(\d+)\s+(?:(\d+)-)?([\d:.]+)\s*")


@dataclass(frozen=True, slots=True)
class Process:
    """A running process. `cpu`: seconds it has used; those of its children that have ended count too, where known."""

    pid: int
    parent: int
    cpu: float


def cpu_of(pid: int) -> float | None:
    """CPU seconds that `pid` and its descendants have used; None where this machine does not tell."""
    rows = family(pid, processes())
    return sum(row.cpu for row in rows) if rows else None


def memory_of(pid: int, proc: Path = _PROC) -> int | None:
    """Bytes that `pid` and its descendants take; memory that several share counts once. None where there is no /proc.

    Linux: the proportional set size.
    """
    sizes = [size for row in family(pid, processes(proc)) if (size := _pss(proc / str(row.pid))) is not None]
    return sum(sizes) if sizes else None


def machine_cpu(proc: Path = _PROC) -> float | None:
    """CPU seconds that this machine's cores have been busy, whoever used them.

    None where it does not tell, and where this process may use only a part of the cores: it tells of all.
    """
    try:
        words = (proc / "stat").read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, IndexError):
        return None
    _, user, nice, system, _, _, irq, softirq, steal = words[:9]  # left out: idle, and waiting for disks
    ticks = sum(map(int, (user, nice, system, irq, softirq, steal)))
    return ticks / os.sysconf("SC_CLK_TCK") if cores() == os.cpu_count() else None


def family(pid: int, rows: Sequence[Process]) -> list[Process]:
    """Those of `rows` that are `pid` or descend from it."""
    found = [row for row in rows if row.pid == pid]
    for row in found:  # it grows meanwhile
        found += [child for child in rows if child.parent == row.pid]
    return found


def processes(proc: Path = _PROC) -> list[Process]:
    """All processes of this machine that can be seen; none where it does not tell."""
    return list(_of_proc(proc) if (proc / "self" / "stat").exists() else _of_ps())


def _of_proc(proc: Path) -> Iterator[Process]:
    tick = os.sysconf("SC_CLK_TCK")
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            yield Process(int(folder.name), int(fields[1]), sum(map(int, fields[11:15])) / tick)


def _of_ps() -> Iterator[Process]:
    try:
        said = subprocess.run(_PS, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    yield from read_ps(said)


def read_ps(said: str) -> Iterator[Process]:
    """Lines of pid, parent's pid and CPU time, which is "0:01.25" or "1-02:03:04" (days, hours, minutes, seconds)."""
    for line in said.splitlines():
        if found := _PS_LINE.fullmatch(line):
            pid, parent, days, time = found.groups()
            seconds = 0.0
            for part in time.split(":"):
                seconds = seconds * 60 + float(part)
            yield Process(int(pid), int(parent), int(days or 0) * 86400 + seconds)


def _pss(folder: Path) -> int | None:
    try:
        lines = (folder / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # there is none, it may not be read, or the process has ended
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
