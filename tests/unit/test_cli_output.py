"""What is printed: aligned for people, tabs for programs, JSON, and never a command to the terminal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq.cli.output import (
    block,
    brief_text,
    jsonable,
    plain,
    result_text,
    shown,
    shows_color,
    table,
    to_json,
)

HEADER = ("QUEUE", "READY", "OLDEST")
ROWS = [["mail", 12980, "14m02"], ["a", 0, "-"]]


class Stream(io.StringIO):
    def __init__(self, terminal: bool):
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


# Text


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text())
def test_a_block_has_only_line_ends_that_are_not_printable(text: str) -> None:
    assert all(line.isprintable() for line in block(text).split("\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("héllo", "héllo"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\udc80", "\\udc80"),
        (7, "7"),
    ],
)
def test_control_characters_are_written_out(text: object, expected: str) -> None:
    assert plain(text) == expected


def test_long_text_is_cut() -> None:
    assert brief_text("x" * 50, 10) == "xxxxxxx..."
    assert brief_text("x" * 10, 10) == "x" * 10
    assert len(brief_text("\x1b" * 50, 10)) == 10


# Tables


def test_a_table_is_aligned_for_people() -> None:
    assert table(HEADER, ROWS, terminal=True).splitlines() == [
        " QUEUE   READY  OLDEST",
        " mail   12 980   14m02",
        " a           0       -",
    ]


def test_a_table_is_tabs_for_programs() -> None:
    assert table(HEADER, ROWS, terminal=False) == "mail\t12980\t14m02\na\t0\t-"


def test_a_screen_has_its_header_for_programs_too() -> None:
    assert table(HEADER, ROWS[1:], terminal=False, headed=True) == "QUEUE\tREADY\tOLDEST\na\t0\t-"


def test_a_cell_cannot_break_out_of_its_table() -> None:
    assert table(("A",), [["x\ty\x1bz"]], terminal=False) == "x\\ty\\x1bz"
    assert "\x1b" not in table(("A",), [["x\ty\x1bz"]], terminal=True)


# Color


@pytest.mark.parametrize(
    ("environ", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_color_is_shown_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert shows_color(Stream(terminal)) is expected


# Values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, "a", None, True), [1, "a", None, True]),
        ({"a": {1: float("nan")}}, {"a": {"1": "nan"}}),
        ({(1, 2): {3}}, {"(1, 2)": [3]}),
        (b"ab\xff", "ab\\xff"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        (timedelta(seconds=90), "0:01:30"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_what_json_does_not_know_is_text(value: Any, expected: Any) -> None:
    assert jsonable(value) == expected


def test_an_int_too_large_for_decimal_digits_is_shown_all_the_same() -> None:
    assert jsonable(1 << 20_000) == hex(1 << 20_000)
    assert shown(1 << 20_000) == "<a int that is too large to show>"
    assert result_text(1 << 20_000) == "<a int that is too large to show>"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_is_printable_and_says_the_same(value: Any) -> None:
    text = to_json(value)
    assert text.isprintable()
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ({1, 2}, "{1, 2}"),
        (float("inf"), "inf"),
        (b"\x1b", "b'\\x1b'"),
    ],
)
def test_a_result_is_json_where_json_has_all_of_it(value: Any, expected: str) -> None:
    assert result_text(value) == expected
