"""The long rounds: python -m tests.fuzz --bodies 1000000 --seed 7 [--through-worker].

Ends with 0 where every body was a job or malformed, within the bounds of time and memory, and every worker well.
"""

from __future__ import annotations

import argparse
import random
import sys

from taskq.broker.embedded import temporary
from tests.fuzz.decoding import MOST_BYTES, MOST_SECONDS, decode_all
from tests.fuzz.working import Fates, work_off
from tests.support.servers import ask

ROUND = 50_000
"""Bodies in Redis at a time: a GiB for each million."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--bodies", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="default: by chance; it is printed")
    parser.add_argument("--through-worker", action="store_true", help="write them into a Redis for real workers")
    order = parser.parse_args()
    print(f"seed {order.seed}", flush=True)
    if order.through_worker:
        print(through_worker(order.seed, order.bodies))
        return 0
    tally = decode_all(order.seed, order.bodies)
    print(tally)
    return int(tally.slowest > MOST_SECONDS or tally.peak > MOST_BYTES)


def through_worker(seed: int, bodies: int) -> Fates:
    """In rounds, each with a worker of its own; the seed of a round is that of the first plus its number."""
    fates = Fates(seed)
    for number, done in enumerate(range(0, bodies, ROUND)):
        with temporary() as server:
            work_off(server.url, seed + number, min(ROUND, bodies - done), fates)
            assert ask(server.url, "PING") == "+PONG"
        print(f"{fates.bodies} bodies, {fates.seconds:.0f} s", flush=True)
    return fates


if __name__ == "__main__":
    sys.exit(main())
