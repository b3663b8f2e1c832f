"""What commands print: data on stdout, narration on stderr, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from taskq.named import Named

Cell = str | int
LONGEST_LINE = 1000
"""Characters of a line of narration."""
_NUMERIC = re.compile(r"-|\d[\d .]*(ms|s|m\d\d|h\d\d|d)?")
_LARGEST_INT_BITS = 14_000
"""Python refuses to write longer ones in decimal."""


def say(text: str) -> None:
    """`text` on stdout. It must be fit for a terminal already: see `plain`, `block`, `to_json`."""
    click.echo(text, color=True)


def note(text: str) -> None:
    """Narration: lines on stderr, each cut where it quotes what may have any length."""
    click.echo("\n".join(line[:LONGEST_LINE] for line in text.split("\n")), err=True, color=True)


def paint(text: str, stream: TextIO, **style: Any) -> str:
    """`text` in color where `stream` shows it: FORCE_COLOR, NO_COLOR and TERM=dumb are heeded."""
    return click.style(text, **style) if shows_color(stream) else text


def shows_color(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def plain(value: object) -> str:
    """`value` on one line, with control characters written out: "\\x1b[2J" clears no screen."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def block(text: str) -> str:
    """`plain` for text of several lines."""
    return "\n".join(map(plain, text.replace("\r\n", "\n").split("\n")))


def brief_text(text: str, most: int) -> str:
    """`text` as `plain` has it, cut to `most` characters."""
    text = plain(text if len(text) <= most else f"{text[: most - 3]}...")
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


# Tables


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], terminal: bool, *, headed: bool = False) -> str:
    """Aligned columns under `header` for people; elsewhere rows with tabs in them, under the header where `headed`."""
    if not terminal:
        return "\n".join("\t".join(map(plain, row)) for row in [*([header] if headed else []), *rows])
    lines = [list(header), *([_for_people(cell) for cell in row] for row in rows)]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [len(column) > 1 and all(map(_NUMERIC.fullmatch, column[1:])) for column in columns]
    aligned = ["  ".join(_padded(*cell) for cell in zip(line, widths, right, strict=True)) for line in lines]
    return "\n".join(f" {line}".rstrip() for line in aligned)


def _for_people(cell: Cell) -> str:
    return f"{cell:,}".replace(",", " ") if isinstance(cell, int) else plain(cell)


def _padded(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


# Values


def to_json(value: Any) -> str:
    """`value`, made of what JSON has, as one line of it."""
    return _printable_json(json.dumps(value, ensure_ascii=False, allow_nan=False))


def jsonable(value: Any) -> Any:
    """`value` as JSON can have it: tuples and sets are lists, what JSON does not know is text.

    A value of a type of the app's own is an object of one member, by the type's name.
    """
    made = value
    match value:
        case None | bool() | str():
            pass
        case int():
            made = value if value.bit_length() < _LARGEST_INT_BITS else hex(value)
        case float():
            made = value if math.isfinite(value) else str(value)
        case list() | tuple() | set() | frozenset():
            made = [jsonable(item) for item in value]
        case dict():
            made = {key if isinstance(key, str) else shown(key): jsonable(item) for key, item in value.items()}
        case bytes():
            made = value.decode("utf-8", "backslashreplace")
        case Named():
            made = {value.name: _named_content(value)}
        case _:
            made = str(value)
    return made


def _named_content(value: Named) -> Any:
    fields = value.fields
    if fields is None:
        return jsonable(value.items[0] if len(value.items) == 1 else value.items)
    return {field: jsonable(item) for field, item in fields.items()}


def result_text(value: Any) -> str:
    """A result as data for stdout: JSON where JSON has all of it, else as Python writes it."""
    try:
        return _printable_json(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError):
        return block(shown(value))


def shown(value: Any) -> str:
    """The repr of `value`."""
    try:
        return repr(value)
    except ValueError:  # an int of more digits than Python writes
        return f"<a {type(value).__name__} that is too large to show>"


def _printable_json(text: str) -> str:
    """JSON with \\u escapes for what is not printable; that can only stand inside of strings."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def is_terminal_out() -> bool:
    return sys.stdout.isatty()


def is_terminal_in() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
