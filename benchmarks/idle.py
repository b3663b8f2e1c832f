"""What an idle worker of 2 processes x 8 threads costs.

python -m benchmarks.idle [SECONDS]               60
"""

from __future__ import annotations

import sys
import time

from benchmarks import bench, jobs


def main(seconds: float = 60) -> None:
    with bench.fresh_redis() as broker, bench.worker(broker, "--procs", "2", "--threads", "8") as process:
        jobs.noop.enqueue().result(20)
        time.sleep(1)
        processes = bench.family(process.pid)
        before, redis_before = sum(map(bench.cpu_of, processes)), bench.redis_cpu(broker)
        time.sleep(seconds)
        worker = sum(map(bench.cpu_of, processes)) - before
        redis = bench.redis_cpu(broker) - redis_before
        memory = sum(map(bench.pss_of, processes)) / 2**20
        print(f"idle for {seconds:g} s: worker {100 * worker / seconds:.2f} % of a core, PSS {memory:.1f} MB")
        print(f"redis meanwhile: {100 * redis / seconds:.2f} % of a core")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
