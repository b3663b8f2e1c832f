"""State of a process, of a thread, and of a job: one database connection for all jobs of a process, made once.

taskq worker -A examples.guide.shared_state --procs 2 --threads 4      in one terminal
python -m examples.guide.shared_state                                  in another
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from taskq import TaskQ

app = TaskQ(namespace="shared-state")
lock = threading.Lock()  # of each process: its threads take turns on the connection
thread = threading.local()  # lives as long as its thread, from job to job
customer: ContextVar[str] = ContextVar("customer")  # of one job: the next one starts without it


@app.register_type
@dataclass(frozen=True)
class Receipt:  # travels as what it is
    process: int
    connection: int
    orders_of_this_thread: int


@app.lifespan
def database() -> Iterator[sqlite3.Connection]:
    """Opened once in each worker process, before its first job; closed after its last."""
    connection = sqlite3.connect(os.environ.get("ORDERS", "orders.db"), timeout=30, check_same_thread=False)
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (text)")
    yield connection
    connection.close()


@app.task
def order(number: int) -> Receipt:
    customer.set(f"customer {number % 10}")
    thread.orders = getattr(thread, "orders", 0) + 1
    return write(f"order {number}")


def write(text: str) -> Receipt:
    with lock, database() as connection:
        connection.execute("INSERT INTO orders VALUES (?)", (f"{text} of {customer.get()}",))
    return Receipt(os.getpid(), id(connection), thread.orders)


if __name__ == "__main__":
    receipts = app.gather(order.enqueue_many([(number,) for number in range(100)]), timeout=60)
    connections = {(receipt.process, receipt.connection) for receipt in receipts}
    print(f"{len(receipts)} orders on {len(connections)} connections of {len({p for p, _ in connections})} processes;")
    print(f"the busiest thread wrote {max(receipt.orders_of_this_thread for receipt in receipts)}")
