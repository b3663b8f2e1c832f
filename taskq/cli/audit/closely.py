"""A close look at some jobs: everything there is of them at one instant, and mending them at one instant.

Their ready lists are read up to the last page; that page comes with everything else in one script. Where a list has
moved on before that, there is no answer, and it is tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from taskq.broker import calls, keys
from taskq.cli.audit.lines import Reader
from taskq.cli.audit.survey import PAGE, PLACES
from taskq.cli.orphans import Ask

T = TypeVar("T")
TRIES = 5


@dataclass(frozen=True, slots=True)
class Sight:
    """All that there is of a job. `places` has one word for each place it stands in, `things` what is stored of it."""

    places: tuple[str, ...]
    things: frozenset[str]


@dataclass(frozen=True, slots=True)
class Glass:
    """`epochs`: worker processes nobody knows that hold jobs; their holdings are looked at too."""

    ask: Ask
    prefix: bytes
    epochs: Sequence[str] = field(default=())

    def look(self, routes: Sequence[str], jobs: Sequence[bytes]) -> dict[bytes, Sight] | None:
        """What there is of `jobs`, which stand nowhere but under `routes`; None where their lists never held still."""
        return _again(lambda: self._look(routes, jobs))

    def mend(
        self, routes: Sequence[str], jobs: Sequence[bytes], unused: bytes, record: bytes
    ) -> dict[bytes, str] | None:
        """Mend `jobs`: the place each is in then, "ended", or "left"; None, and nothing done, as above."""
        return _again(lambda: self._mend(routes, jobs, unused, record))

    def things(self, jobs: Sequence[bytes]) -> list[frozenset[str]]:
        """What is stored of each of `jobs`, without a look at places."""
        return [frozenset(words) for words in self.ask(calls.trace(PAGE, (), (), jobs)).jobs]

    def _look(self, routes: Sequence[str], jobs: Sequence[bytes]) -> dict[bytes, Sight] | None:
        readers = self._approach(routes, frozenset(jobs))
        if readers is None:
            return None
        trace = self.ask(calls.trace(PAGE, [reader.bookmark for reader in readers], self.epochs, jobs))
        for reader, stretch in zip(readers, trace.stretches, strict=True):
            if stretch is None or stretch.left:
                return None
            reader.take(stretch)
        lined = Counter(job for reader in readers for job, _ in reader.seen())
        return {job: _sight(words, lined[job]) for job, words in zip(jobs, trace.jobs, strict=True)}

    def _mend(
        self, routes: Sequence[str], jobs: Sequence[bytes], unused: bytes, record: bytes
    ) -> dict[bytes, str] | None:
        readers = self._approach(routes, frozenset(jobs))
        if readers is None:
            return None
        seen: dict[bytes, list[str]] = {job: [] for job in jobs}
        for number, reader in enumerate(readers, start=1):
            for job, distance in reader.seen():
                seen[job].append(f"{number}:{distance}")
        told = [(job, " ".join(spots)) for job, spots in seen.items()]
        bookmarks = [reader.bookmark for reader in readers]
        places = self.ask(calls.mend(PAGE, bookmarks, self.epochs, told, unused, record))
        return dict(zip(jobs, places, strict=True)) if places else None

    def _approach(self, routes: Sequence[str], wanted: frozenset[bytes]) -> list[Reader] | None:
        """Read each list until a page or less is left; those that are no longer than that are not begun."""
        readers = [Reader(route, wanted) for route in routes]
        for reader in readers:
            left = self.ask(calls.length(keys.full_key(self.prefix, "ready", reader.bookmark.route)))
            while left > PAGE:
                (stretch,) = self.ask(calls.trace(PAGE, [reader.bookmark], (), ())).stretches
                if stretch is None:
                    return None
                reader.take(stretch)
                left = stretch.left
        return readers


def _sight(words: Sequence[str], lined: int) -> Sight:
    places = [word for word in words if word in PLACES] + ["ready"] * lined
    return Sight(tuple(sorted(places)), frozenset(words) - set(PLACES))


def _again(attempt: Callable[[], T | None]) -> T | None:
    for _ in range(TRIES):
        answer = attempt()
        if answer is not None:
            return answer
    return None
