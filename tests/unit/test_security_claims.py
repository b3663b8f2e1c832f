"""SECURITY.md names a test for each of its claims: the tests must be there."""

from __future__ import annotations

import re

from tests.support.workers import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", TEXT))
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_claim_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row] == []
