"""How late io jobs start beside one endless pure-Python cpu job in each process.

python -m benchmarks.beside [JOBS]                400 io jobs of 2 ms, one every 25 ms
"""

from __future__ import annotations

import sys
import time

from benchmarks import bench, jobs


def main(count: int = 400) -> None:
    with bench.fresh_redis() as broker, bench.worker(broker, "--procs", "2", "--threads", "16", "--grace", "0"):
        jobs.noop.enqueue().result(20)
        jobs.spin.enqueue_many([(3600.0,)] * 2)
        time.sleep(1)
        enqueued = []
        for _ in range(count):
            enqueued.append(jobs.lateness.enqueue(time.monotonic()))
            time.sleep(0.025)
        late = [1000 * job.result(20) for job in enqueued]
        p50, p99 = bench.percentile(late, 0.5), bench.percentile(late, 0.99)
        print(f"{count} io jobs beside 2 endless cpu jobs start late by p50 {p50:.2f} ms, p99 {p99:.2f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
