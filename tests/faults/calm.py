"""`python -m tests.faults.calm`: no fault at all, many jobs: each is executed once.

The journals are the same as in the storm, and so is the judge.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from taskq.ids import show
from tests.faults import jobs, journals
from tests.faults.server import fragile
from tests.faults.site import Site
from tests.faults.storm import finished
from tests.faults.verdict import Evidence, Final, judge

CHUNK = 5000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.calm", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="taskq-") as folder, fragile() as server:
        os.environ[journals.FOLDER] = folder
        site = Site(server, Path(folder))
        jobs.app.use(site.broker)
        seen = run(site, asked.jobs)
        site.close()
    verdict = judge(seen)
    print(f"{verdict.summary()}\nexecutions               {len(seen.journals.executions)}")
    print("\n".join(verdict.findings[:20]))
    return 1 if verdict.findings else 0


def run(site: Site, many: int) -> Evidence:
    """Two hosts of two processes each run `many` jobs; their results are collected as they come."""
    hosts = [site.ready("--procs", "2", "--threads", "8") for _ in range(2)]
    finals: dict[str, Final | None] = {}
    began = time.monotonic()
    for tokens in _chunks(many):
        for token in tokens:
            journals.note("intent", token)
        handles = jobs.quick.enqueue_many([(token,) for token in tokens])
        for token, job in zip(tokens, handles, strict=True):
            journals.note("ack", token, show(job.raw))
        finals |= {token: Final(value) for token, value in zip(tokens, jobs.app.gather(handles, 120), strict=True)}
    print(f"{many} jobs in {time.monotonic() - began:.0f} s", flush=True)
    lines = [line for host in hosts for line in host.worker.lines_so_far()]
    return Evidence(
        journals=journals.read(site.folder), faults=(), finals=finals, accepted=Counter(finished(lines)), wrong=()
    )


def _chunks(many: int) -> Iterator[list[str]]:
    for start in range(0, many, CHUNK):
        yield [f"calm-{number}" for number in range(start, min(start + CHUNK, many))]


if __name__ == "__main__":
    sys.exit(main())
