"""How fast a worker drains a queue of no-op jobs, acknowledged, with results stored, on a real Redis beside it.

    python -m benchmarks.drain [JOBS [RUNS]]          200,000 jobs, 3 runs

All jobs are enqueued before the worker starts. The clock runs from the start of the command `taskq worker --burst` to
its end, so it includes the start of Python; a burst ends when nothing is ready or held, and then all results exist.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from benchmarks import bench, jobs
from taskq.broker import calls


def main(count: int = 200_000, runs: int = 3) -> None:
    rates = [drain(count) for _ in range(runs)]
    print(f"median of {runs}: {median(rates):,.0f} jobs/s")


def drain(count: int) -> float:
    """Print one run; jobs a second."""
    with bench.fresh_redis() as broker:
        bench.redis_memory(broker)
        jobs.noop.enqueue()
        empty = bench.redis_memory(broker)
        began = time.monotonic()
        jobs.noop.enqueue_many([()] * (count - 1))
        enqueued = time.monotonic() - began
        memory = (bench.redis_memory(broker) - empty) / count
        redis_before, worker_before, began = bench.redis_cpu(broker), bench.children_cpu(), time.monotonic()
        with bench.worker(broker, "--procs", "2", "--threads", "16", "--burst") as process:
            process.wait()
        took = time.monotonic() - began
        (row,) = broker.run(calls.overview(60))
        results = broker.run(calls.info())["db0"]
        assert row.ready == 0
        assert row.counters["done"] == count
        print(
            f"drain {count / took:8,.0f} jobs/s"
            f"   CPU a job: worker {1e6 * (bench.children_cpu() - worker_before) / count:.1f} us,"
            f" redis {1e6 * (bench.redis_cpu(broker) - redis_before) / count:.1f} us"
            f"   enqueue_many {count / enqueued:,.0f}/s   redis memory {memory:.0f} B a queued job   ({results})",
            flush=True,
        )
        return count / took


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
