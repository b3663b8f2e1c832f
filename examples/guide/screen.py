"""What the demo shows: a progress bar on standard error, a table as text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

Step = Callable[[], object]


@contextmanager
def progress(label: str, total: int) -> Iterator[Step]:
    """A bar while the block runs, which calls what it is given after each of `total` steps.

    By rich where that is installed; where standard error is no terminal, just a line with the label.
    """
    if not sys.stderr.isatty():
        print(label, file=sys.stderr, flush=True)
        yield lambda: None
    elif find_spec("rich") is None:
        yield from _plain_bar(label, total)
    else:
        yield from _rich_bar(label, total)


def _rich_bar(label: str, total: int) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        row = bar.add_task(label, total=total)
        yield lambda: bar.advance(row)


def _plain_bar(label: str, total: int) -> Iterator[Step]:
    done = shown = 0

    def step() -> None:
        nonlocal done, shown
        done += 1
        if (percent := 100 * done // total) != shown:
            shown = percent
            print(f"\r{label:34} {'#' * (percent // 4):25} {percent:3} %", end="", file=sys.stderr, flush=True)

    try:
        yield step
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """`rows` in columns as wide as need be: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "   ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])
