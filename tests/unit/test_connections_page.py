"""What docs/connections.md says in figures is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskq.broker import broker, connection, sentinels
from taskq.broker.reconnect import Reconnect

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "figures"),
    [
        ("connecting", [connection.CONNECT_TIMEOUT]),
        ("a sentinel's answer, until the next is asked", [connection.SENTINEL_TIMEOUT]),
        ("an answer to a producer, until it counts as lost", [connection.ANSWER_TIMEOUT]),
        ("a producer's wait in all, whatever happens", [broker.PATIENCE]),
        ("an answer in a worker", [connection.READ_TIMEOUT]),
        ("pauses between two tries", [Reconnect.FIRST, Reconnect.LONGEST, broker.LONGEST_PAUSE]),
    ],
)
def test_the_page_has_the_figures_of_the_code(what: str, figures: list[float]) -> None:
    row = re.search(rf"^\| {re.escape(what)} \| (.*) \|$", PAGE, re.MULTILINE)
    assert row is not None
    assert [float(figure) for figure in re.findall(r"[\d.]+\d|\d", row[1])] == figures


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "sentinel", "embedded"])
def test_the_page_has_every_form_of_a_url(scheme: str) -> None:
    assert re.search(rf"^\| `{scheme}://", PAGE, re.MULTILINE)


def test_the_page_names_the_second_scheme_of_sentinels() -> None:
    assert all(f"{scheme}://" in PAGE for scheme in sentinels.SCHEMES)
