"""What mypy --strict says to good and bad calls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent


def mypy(path: Path, cache: Path) -> dict[int, str]:
    """The code of the error in each line that has one."""
    settings = f"--config-file={PROJECT / 'pyproject.toml'}"
    out, err, _ = api.run([settings, "--strict", f"--cache-dir={cache}", "--no-error-summary", str(path)])
    assert err == ""
    found = re.findall(rf"{re.escape(path.name)}:(\d+): error: .*\[([a-z-]+)\]$", out, re.MULTILINE)
    assert len(found) == out.count(": error: "), out
    return {int(line): code for line, code in found}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_mypy_accepts_good_calls_and_finds_their_types(cache: Path) -> None:
    assert mypy(HERE / "good.py", cache) == {}


def test_mypy_rejects_bad_calls_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    first, _, rest = (HERE / "bad.py").read_text(encoding="utf-8").partition("\n")
    assert first == "# mypy: ignore-errors"
    copy = tmp_path / "bad.py"
    copy.write_text(f"\n{rest}", encoding="utf-8")
    lines = enumerate(copy.read_text(encoding="utf-8").splitlines(), 1)
    expected = {number: line.partition("# E: ")[2] for number, line in lines if "# E: " in line}
    assert len(expected) > 35
    assert mypy(copy, cache) == expected
