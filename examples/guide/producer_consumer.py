"""Producer and consumers in three stages, with bounded queues between them and an end signal.

    this program --> [orders, at most 5] --> pack, 2 threads --> [parcels, at most 5] --> ship, one after another

Each stage is slower than the one before it. A full queue makes who enqueues wait, so nobody runs far ahead. Each stage
has slots of its own (the io lane, the cpu lane): jobs that wait for room must not take those of the jobs that make it.
"""

from __future__ import annotations

import sys
import time

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

ORDERS, ROOM = 60, 5
app = TaskQ()
app.queue("orders", max_length=ROOM)
app.queue("parcels", max_length=ROOM)
shipped: list[int] = []  # in the one process of the worker


@app.task(queue="orders")
def pack(order: int) -> None:
    time.sleep(0.005)
    ship.enqueue(order)  # waits while there are too many parcels


@app.task(queue="parcels", pool="cpu")
def ship(order: int) -> None:
    time.sleep(0.01)
    shipped.append(order)


@app.task(queue="parcels", pool="cpu")
def end() -> list[int]:
    """The end signal: it stands behind all parcels, and one after another is shipped."""
    return sorted(shipped)


def main() -> None:
    with beside_a_worker(app, "examples.guide.producer_consumer", procs=1, threads=2, queues="parcels,orders"):
        began = time.monotonic()
        jobs = [pack.enqueue(order) for order in range(ORDERS)]  # waits while there are too many orders
        produced = time.monotonic() - began
        app.gather(jobs, timeout=60)  # all are packed: now nothing can come behind the end signal
        arrived = end.enqueue().result(timeout=60)
    print(f"{len(arrived)} of {ORDERS} orders shipped; with room for {ROOM} it took {produced:.2f} s to give them")
    sys.exit(arrived != list(range(ORDERS)))


if __name__ == "__main__":
    main()
