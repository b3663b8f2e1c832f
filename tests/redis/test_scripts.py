"""What a script says in its header is what its body does, and each has one caller."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from taskq.broker import calls, scripts
from taskq.broker.broker import Broker
from taskq.broker.keys import MODEL
from tests.support.census import ask

FOLDER = Path(inspect.getfile(scripts)).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua"))
PARTS = sorted(path.stem for path in (FOLDER / "lib").glob("*.lua"))
LOCALS = {row.upper() for row in MODEL}
LONGEST = 60
FOR_WORKERS = ["commit", "claim", "retry", "bury", "park", "unpark", "give_back", "promote", "profile"]
FOR_SUPERVISORS = ["register", "heartbeat", "reap"]

every_script = pytest.mark.parametrize("name", NAMES)
every_part = pytest.mark.parametrize("part", PARTS)


@cache
def text(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def header(name: str, field: str) -> list[str]:
    """The words of a header field, which goes on over lines that are indented; [] where there is none."""
    found = re.findall(rf"^-- {field}: (.+(?:\n--  +.+)*)$", text(name), re.MULTILINE)
    assert len(found) <= 1, f"{name} has several '-- {field}:'"
    return re.sub(r"\n--  +", " ", found[0]).split() if found else []


def includes(name: str) -> list[str]:
    return header(name, "include")


def code(name: str) -> str:
    """The body without comments."""
    return re.sub(r"--.*", "", text(name))


def bare(name: str) -> str:
    """The body without comments and strings."""
    return re.sub(r"'[^']*'", "''", code(name))


def functions(part: str) -> set[str]:
    """What an included part defines at its outermost level."""
    return set(re.findall(r"^local function (\w+)", code(f"lib/{part}"), re.MULTILINE))


def called(name: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])(\w+)\(", bare(name)))


def commands(name: str) -> set[str]:
    return set(re.findall(r"redis\.p?call\((?:[^,()']+ and )?'(\w+)'", code(name)))


# Headers


@every_script
def test_a_script_fits_on_a_screen(name: str) -> None:
    assert len(text(name).splitlines()) <= LONGEST


@every_script
def test_a_script_says_what_it_does_and_returns(name: str) -> None:
    assert text(name).startswith(f"-- {name}: ")
    assert header(name, "returns")


@every_part
def test_a_part_says_what_it_does(part: str) -> None:
    assert text(f"lib/{part}").startswith(f"-- {part}: ")


@every_script
def test_the_arguments_in_the_header_are_those_of_the_body(name: str) -> None:
    single, first_of_many, stride = declared_arguments(name)
    assert {int(n) for n in re.findall(r"ARGV\[(\d+)\]", code(name))} == single
    starts = re.findall(r"for \w+ = (\d+)[^,]*, #ARGV(?:, (\d+))?", code(name))
    backward = re.findall(r"for \w+ = #ARGV, (\d+), -1", code(name))
    assert {int(start) for start, _ in starts} | set(map(int, backward)) == ({first_of_many} - {None})
    assert {int(step or 1) for _, step in starts} <= {stride}


def declared_arguments(name: str) -> tuple[set[int], int | None, int]:
    """The numbers of single arguments, that of the first of many, and how many make one item of the many."""
    listed = " ".join(header(name, "ARGV"))
    parts = re.split(r", (?=\d+(?:\.\.)? |then )", listed) if listed else []
    single = {int(found[1]) for part in parts if (found := re.match(r"(\d+) ", part))}
    many = [part for part in parts if re.match(r"\d+\.\. |then ", part)]
    assert single == set(range(1, len(single) + 1)), "single arguments come first, numbered from 1"
    if not many:
        return single, None, 1
    words = many[-1].split(", ")
    etc = [index for index, word in enumerate(words) if word.startswith("...")]
    return single, len(single) + 1, etc[0] if etc else 1


@every_part
def test_a_part_leaves_the_arguments_to_the_script(part: str) -> None:
    assert "ARGV" not in code(f"lib/{part}")


# Keys


@every_script
def test_a_script_declares_the_rows_of_the_model_that_it_uses_and_no_others(name: str) -> None:
    declared = header(name, "uses")
    assert set(declared) <= set(MODEL)
    assert len(declared) == len(set(declared))
    sources = [name, *(f"lib/{part}" for part in includes(name))]
    used = {word for source in sources for word in re.findall(r"\b[A-Z]+\b", bare(source))} & LOCALS
    assert used == {row.upper() for row in declared}


@pytest.mark.parametrize("source", [*NAMES, *(f"lib/{part}" for part in PARTS)])
def test_a_script_makes_no_keys_of_its_own_and_searches_for_none(source: str) -> None:
    assert set(re.findall(r"KEYS\[[^]]*\]", code(source))) <= ({"KEYS[1]"} if source == "lib/allow_oom" else set())
    assert not re.search(r"\bKEYS\b(?!\[1\])", bare(source))
    assert commands(source).isdisjoint({"KEYS", "SCAN", "HSCAN", "SSCAN", "ZSCAN", "RANDOMKEY"})


def test_every_row_of_the_model_is_used_by_a_script() -> None:
    assert {row for name in NAMES for row in header(name, "uses")} == set(MODEL)


# Parts


@every_script
def test_a_script_includes_the_parts_that_it_calls_and_no_others(name: str) -> None:
    parts = includes(name)
    assert set(parts) <= set(PARTS)
    calls_made = called(name).union(*(called(f"lib/{part}") - functions(part) for part in parts))
    needed = {part for part in PARTS if functions(part) & calls_made}
    assert needed == set(parts) - {"allow_oom"}


@every_script
def test_a_part_stands_behind_the_parts_that_it_calls(name: str) -> None:
    known: set[str] = set()
    all_functions = set().union(*map(functions, PARTS))
    for part in includes(name):
        known |= functions(part)
        assert called(f"lib/{part}") & all_functions <= known


def test_every_part_is_included_somewhere() -> None:
    assert {part for name in NAMES for part in includes(name)} == set(PARTS)


@pytest.mark.parametrize("name", [*FOR_WORKERS, *FOR_SUPERVISORS])
def test_what_workers_send_begins_with_a_write_that_is_allowed_at_maxmemory(name: str) -> None:
    assert includes(name)[0] == "allow_oom"


# Callers


def test_each_script_has_exactly_one_caller() -> None:
    callers = [script for function in ast.parse(inspect.getsource(calls)).body for script in scripts_in(function)]
    assert sorted(callers) == NAMES


def scripts_in(node: ast.AST) -> list[str]:
    """The scripts that calls made in `node` name."""
    made = [each for each in ast.walk(node) if isinstance(each, ast.Call) and ast.unparse(each.func) == "Call"]
    named = [ast.literal_eval(each.args[0]) for each in made]
    return [name for name in named if name.islower()]


# Loading


@every_script
@pytest.mark.parametrize("time_as_argument", [False, True])
def test_the_server_takes_a_script_under_the_name_we_give_it(broker: Broker, name: str, time_as_argument: bool) -> None:
    script = scripts.load(name, time_as_argument=time_as_argument)
    assert ask(broker, "SCRIPT", "LOAD", script.source) == script.sha.encode()


@every_script
def test_only_a_script_that_asks_for_the_time_is_given_it(name: str) -> None:
    sources = [name, *(f"lib/{part}" for part in includes(name))]
    assert scripts.load(name).timed == any("now" in called(source) for source in sources)


def test_what_was_preloaded_needs_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_files(_: object) -> NoReturn:
        raise AssertionError("read again")

    scripts.preload()
    scripts.load.cache_clear()
    monkeypatch.setattr(scripts, "files", no_files)
    assert [scripts.load(name).name for name in NAMES] == NAMES
