"""Plays, one after another, each with a seed of its own, until so many steps were done or a promise was broken."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from taskq.broker import embedded
from tests.simulation.judge import Broken
from tests.simulation.play import WAITING
from tests.simulation.stage import perform

STEPS_OF_A_PLAY = 40_000


def main() -> int:
    options = _parser().parse_args()
    began, steps, calls, jobs = time.monotonic(), 0, 0, 0
    size = min(STEPS_OF_A_PLAY, options.steps)
    with _server(options.server) as url:
        for seed in range(options.seed, sys.maxsize):
            try:
                play = perform(url, seed, size, rules=WAITING)
            except Broken as broken:
                print(f"{broken}\n\nto see it again: python -m tests.simulation --seed {seed} --steps {size}")
                return 1
            steps, calls, jobs = steps + play.steps, calls + play.calls, jobs + play.jobs
            took = time.monotonic() - began
            print(f"seed {seed}: {play}; {steps / took:.0f} steps/s", flush=True)
            if steps >= options.steps:
                break
    print(f"{steps} steps, {calls} calls, {jobs} jobs in {took:.0f} s: every promise was kept")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="of all plays together (default: a million)")
    parser.add_argument("--seed", type=int, default=1, help="of the first play; the next has the next")
    parser.add_argument("--server", choices=["redis", "fakeredis"], default="redis", help="a private one")
    return parser


@contextmanager
def _server(kind: str) -> Iterator[str | None]:
    if kind == "fakeredis":
        yield None
    else:
        with embedded.temporary() as server:
            yield server.url


if __name__ == "__main__":
    sys.exit(main())
