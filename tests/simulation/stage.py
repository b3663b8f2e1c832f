"""Where a play is given: a broker on either kind of server, with the simulated time in it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from unittest.mock import patch

import taskq.broker.broker
from taskq.broker import scripts
from taskq.broker.broker import Broker
from taskq.broker.scripts import Script
from tests.simulation.loop import Loop
from tests.simulation.network import Clock
from tests.simulation.play import RULES, Play, Summary
from tests.support.census import ask
from tests.support.fake import fake_broker

Change = Callable[[str, str], str]
"""From a script's name and source to its source."""
DICE = "redis.call('SRANDMEMBER', FENCED)"
ORDER = "redis.call('SORT', FENCED, 'ALPHA', 'LIMIT', 0, 1)[1]"


def without_dice(name: str, source: str) -> str:
    """The one throw of dice in the scripts, which no seed could repeat: the first of those to be reaped."""
    return source.replace(DICE, ORDER)


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Scripts are sent as `change` has them."""
    made: dict[tuple[str, bool], Script] = {}

    def load(name: str, *, time_as_argument: bool = False) -> Script:
        if (name, time_as_argument) not in made:
            script = scripts.load(name, time_as_argument=time_as_argument)
            source = without_dice(name, change(name, script.source))
            made[name, time_as_argument] = replace(
                script, source=source, sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            )
        return made[name, time_as_argument]

    with patch("taskq.broker.broker.load", load):
        yield


def _teach(broker: Broker) -> None:
    """Have the server know all scripts: the first play would run otherwise than the next, where it has to ask."""
    for file in files(scripts).iterdir():
        if file.name.endswith(".lua"):
            source = taskq.broker.broker.load(file.name.removesuffix(".lua"), time_as_argument=True).source
            ask(broker, "SCRIPT", "LOAD", source)


def perform(
    url: str | None,
    seed: int,
    steps: int,
    *,
    rules: frozenset[str] = RULES,
    change: Change = lambda _, source: source,
) -> Summary:
    """Give the play of `seed` on the server at `url`, which is emptied, or on fakeredis. Raises Broken."""
    loop = Loop(seed)
    clock = Clock(loop)
    random.seed(seed)
    broker = fake_broker(clock.now) if url is None else Broker(url, now=clock.now)
    try:
        with changed(change):
            _teach(broker)
            return Play(broker, loop, clock, rules).run(steps)
    finally:
        broker.close()
