"""What the README shows is run, and what it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskq.broker import embedded

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = {code.partition("\n")[0].removeprefix("# "): code for language, code in BLOCKS if language == "python"}
CONSOLE = [line for language, text in BLOCKS if language == "console" for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the README's programs. In the end its private Redis has gone."""
    if embedded.find_server() is None:
        pytest.skip(embedded.HINT)
    for name, code in PROGRAMS.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    yield tmp_path
    embedded.Server(tmp_path / ".taskq").wait()


def environment() -> dict[str, str]:
    """What the README's `export` makes of this process's environment."""
    exports = (line.removeprefix("$ export ").partition("=") for line in CONSOLE if line.startswith("$ export "))
    return {**os.environ, **{name: value for name, _, value in exports}}


def command_of(program: str) -> list[str]:
    """The README's command line for `program`, with this Python."""
    line = next(line for line in CONSOLE if line.startswith(f"$ {program} "))
    words = line.removeprefix("$ ").removesuffix(" &").split()
    return [sys.executable, *(["-m", "taskq"] if program == "taskq" else []), *words[1:]]


@contextmanager
def worker(folder: Path) -> Iterator[None]:
    """The README's worker, ready."""
    command, variables = command_of("taskq"), environment()
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert any('"ready"' in line for line in process.stderr), "the worker ended before it was ready"
            yield
        finally:
            process.terminate()


def test_the_example_has_twelve_lines_of_code() -> None:
    lines = [line for line in PROGRAMS["tasks.py"].splitlines() if line and not line.startswith("#")]
    assert len(lines) == 12


def test_the_example_prints_what_the_readme_says(folder: Path) -> None:
    with worker(folder):
        command = command_of("python")
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    said = CONSOLE[CONSOLE.index(f"$ python {' '.join(command[1:])}") + 1]
    assert (done.stdout, done.stderr) == (f"{said}\n", "")


def test_the_make_targets_are_there() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"`make (\w+)`", README)) <= targets


def test_the_commands_are_there() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "taskq", "--help"], capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"^  (\w+) ", help_text, re.MULTILINE))
    assert set(re.findall(r"`taskq (\w+)", README)) <= commands


def test_the_links_lead_to_files() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_nobody_is_told_to_install_the_wrong_project() -> None:
    assert "pip install taskq" not in README
