"""The parts of an audit that ask nobody: piles, contradictions, suspects, and the jury."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from taskq.broker.records import Bookmark, Stretch
from taskq.cli.audit.closely import Sight
from taskq.cli.audit.findings import contradictions
from taskq.cli.audit.jury import Jury
from taskq.cli.audit.lines import Reader
from taskq.cli.audit.piles import HEAPS, Pile
from taskq.cli.audit.survey import Spot, Survey
from taskq.cli.audit.suspects import Suspect, suspects

JOB = b"0123456789abcdef"


def sight(places: str = "", things: str = "") -> Sight:
    return Sight(tuple(places.split()), frozenset(things.split()))


# Piles


def test_a_pile_has_what_was_put_on_it() -> None:
    jobs = {os.urandom(16) for _ in range(2000)}
    pile = Pile()
    pile.add(jobs)
    assert set().union(*map(pile.heap, range(HEAPS))) == jobs
    assert len(pile) == 2000


def test_a_pile_keeps_numbers_and_how_often() -> None:
    pile = Pile(numbered=True)
    pile.add([JOB], 7)
    pile.add([JOB, JOB], 1 << 31)
    assert sorted(pile.numbers(JOB[-1])) == [(JOB, 7), (JOB, 1 << 31), (JOB, 1 << 31)]
    assert len(pile) == 3


def test_what_is_no_id_is_not_put_on_a_pile() -> None:
    pile = Pile()
    pile.add([b"", b"short", JOB + b"0"])
    assert len(pile) == 0


# Contradictions


@pytest.mark.parametrize(
    "well",
    [
        sight("ready", "body"),
        sight("ready", "body attempts losses awaited"),
        sight("held", "body awaited"),
        sight("delayed", "body attempts"),
        sight("parked", "body"),
        sight("dead", "body record attempts"),
        sight("ready", "cancelled record"),
        sight("held ready", "body cancelled waits"),
        sight("", "record"),
        sight("", ""),
    ],
)
def test_what_is_as_it_should_be_has_no_contradictions(well: Sight) -> None:
    assert contradictions(well) == set()


@pytest.mark.parametrize(
    ("wrong", "kinds"),
    [
        (sight("", "body"), {"lost"}),
        (sight("held ready", "body"), {"double"}),
        (sight("ready ready", "cancelled"), {"hollow"}),
        (sight("held ready ready", "body cancelled"), {"double"}),
        (sight("ready", ""), {"hollow"}),
        (sight("delayed", "cancelled"), {"hollow", "ghost"}),
        (sight("ready", "cancelled body"), {"lost"}),
        (sight("held", "cancelled body"), {"ghost"}),
        (sight("", "cancelled"), {"ghost"}),
        (sight("held", "body record"), {"undead"}),
        (sight("dead", "body"), {"blank"}),
        (sight("", "losses"), {"stray"}),
        (sight("", "waits"), {"stray"}),
    ],
)
def test_each_contradiction_has_a_name(wrong: Sight, kinds: set[str]) -> None:
    assert contradictions(wrong) == kinds


# Suspects


def test_a_job_that_two_pages_of_a_sorted_set_showed_stood_there_once() -> None:
    seen = Survey()
    seen.spots += [Spot("delayed", "default", "default:io"), Spot("ready", "default:io", "default:io")]
    seen.bodies.add([JOB])
    seen.placed.add([JOB, JOB], 0)
    assert list(suspects(seen)) == []
    seen.placed.add([JOB], 1)
    (found,) = suspects(seen)
    assert (found.reasons, found.spots) == ({"double"}, tuple(seen.spots))


# Lines


def test_a_reader_knows_where_jobs_stand_whatever_came_behind_them() -> None:
    members = tuple(bytes([letter]) * 16 + b"default:io" for letter in b"abcdefgh")
    a, b, c, d, e, f, g, h = members
    reader = Reader("default:io", {job[:16] for job in (b, e, h)})
    reader.take(Stretch(2, (c, d, e, f), ()))
    assert dict(reader.seen()) == {e[:16]: 1}
    assert reader.bookmark == Bookmark("default:io", f, 4, c)
    reader.take(Stretch(0, (a, b), (g, h)))
    assert dict(reader.seen()) == {h[:16]: 0, e[:16]: 3, b[:16]: 6}
    assert reader.bookmark == Bookmark("default:io", h, 8, a)


def test_a_line_that_was_empty_is_begun_anew() -> None:
    reader = Reader("default:io")
    reader.take(Stretch(0, (), ()))
    assert (reader.bookmark, reader.left) == (Bookmark("default:io"), 0)


# The jury


class Glass:
    """Looks at what it was told: one sight after the other, None where the lists do not hold still."""

    prefix = b"{taskq}:"

    def __init__(self, *looks: Sight | None, things: str = "body"):
        self._looks, self._things = list(looks), frozenset(things.split())

    def ask(self, call: Any) -> list[None]:
        return [None] * (len(call.args) - 1)

    def things(self, jobs: Sequence[bytes]) -> list[frozenset[str]]:
        return [self._things for _ in jobs]

    def look(self, _: Sequence[str], jobs: Sequence[bytes]) -> dict[bytes, Sight] | None:
        seen = self._looks.pop(0)
        return None if seen is None else dict.fromkeys(jobs, seen)


def judge(glass: Any, *reasons: str) -> tuple[list[set[str]], int]:
    jury = Jury(glass, ["default:io"], lambda *_: None)
    verdicts = jury.judge([Suspect(JOB, set(reasons or {"lost"}), (Spot("delayed", "default", "default:io"),))])
    assert not glass._looks, "it did not look as often as it should"
    return [set(one.kinds) for one in verdicts.guilty], verdicts.unsettled


def test_what_two_looks_see_is_a_finding() -> None:
    assert judge(Glass(sight("", "body"), sight("", "body"))) == ([{"lost"}], 0)


def test_what_only_the_first_look_sees_is_none() -> None:
    assert judge(Glass(sight("", "body"), sight("held", "body"))) == ([], 0)


def test_two_looks_must_see_the_same() -> None:
    assert judge(Glass(sight("", "body"), sight("held ready", "body"))) == ([], 0)
    assert judge(Glass(sight("", "body record"), sight("held", "body record"))) == ([{"undead"}], 0)


@pytest.mark.parametrize("looks", [(None,), (sight("", "body"), None)])
def test_what_cannot_be_looked_at_is_not_judged(looks: tuple[Sight | None, ...]) -> None:
    assert judge(Glass(*looks)) == ([], 1)


def test_jobs_that_came_or_went_since_the_survey_are_not_looked_at() -> None:
    assert judge(Glass(things="record"), "lost", "double") == ([], 0)
    assert judge(Glass(things=""), "lost") == ([], 0)
    assert judge(Glass(things="record"), "stray") == ([], 0)
    assert judge(Glass(things="body"), "hollow") == ([], 0)


def test_who_looked_under_no_route_does_not_say_that_a_job_stands_nowhere() -> None:
    """What was left behind by a job that is enqueued again, before the first look or between the two."""
    left, again = sight("", "attempts"), sight("", "attempts body")
    for looks, guilty in (((left, left), [{"stray"}]), ((left, again), []), ((again,), [])):
        glass = Glass(*looks, things="attempts")
        verdicts = Jury(glass, ["default:io"], lambda *_: None).judge([Suspect(JOB, {"stray"})])  # type: ignore[arg-type]
        assert ([one.kinds for one in verdicts.guilty], glass._looks) == (guilty, [])
