# mypy: ignore-errors
"""Calls that a type checker must reject: each line that ends in `E:` with that error, and no other line.

`test_typing.py` checks a copy without the first line.
"""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime
from typing import Any

from taskq import Job, TaskQ

app = TaskQ()


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task(retries=5)
def send_mail(to: str, *, text: str | None = None) -> None: ...


@app.task
async def fetch(url: str) -> bytes:
    return b""


# Arguments

add.enqueue("x")  # E: arg-type
add.enqueue()  # E: call-arg
add.enqueue(1, 2, 3)  # E: call-arg
add.enqueue(1, z=2)  # E: call-arg
add.delay(1, "2")  # E: arg-type
add("x")  # E: arg-type
send_mail.enqueue("me", "hello")  # E: call-arg
send_mail.enqueue(to=None)  # E: arg-type
fetch.enqueue(b"http://h")  # E: arg-type
add.options(delay=10).enqueue("x")  # E: arg-type
fetch.options(priority=1).enqueue()  # E: call-arg
add.enqueue_many([1, 2])  # E: list-item

# Results

text: str = add.enqueue(1).result()  # E: assignment
wrong: Job[str] = add.enqueue(1)  # E: assignment
later: Job[str] = add.options(delay=1).enqueue(1)  # E: assignment
number: int = fetch.enqueue("http://h").result()  # E: assignment
jobs: list[Job[str]] = add.enqueue_many([(1,)])  # E: assignment
add.enqueue(1).result().upper()  # E: attr-defined
add.enqueue(1).reslt()  # E: attr-defined
add.enqueue(1).result(timeout=b"1s")  # E: arg-type
if add.enqueue(1).status() == "finished":  # E: comparison-overlap
    pass


async def coroutines() -> None:
    await add.aenqueue("x")  # E: arg-type
    job: Job[int] = await fetch.aenqueue("http://h")  # E: assignment
    result: int = await (await fetch.aenqueue("http://h")).aresult()  # E: assignment
    value: bytes = fetch("http://h")  # E: assignment
    await add.enqueue(1)  # E: misc
    await fetch.options(delay=1)(5)  # E: arg-type
    print(job, result, value)


# Options and declarations

add.options(delay=[1])  # E: arg-type
add.options(eta=1_704_067_200)  # E: arg-type
add.options(priority="high")  # E: arg-type
add.options(prio=1)  # E: call-arg
add.options(job_id=7)  # E: arg-type
add.options(1)  # E: call-arg
add.options(queue_timeout=[1])  # E: arg-type
app.queue("mail", order="newest")  # E: arg-type
app.queue("mail", max_length="10")  # E: arg-type


app.task(pool="gpu")  # E: call-overload
app.task(retries="3")  # E: call-overload
app.task(retry_on=ValueError("x"))  # E: call-overload
app.task(backof="1s")  # E: call-overload
app.task(send_mail, retries=3)  # E: call-overload
app.task(5)  # E: call-overload
TaskQ(5)  # E: arg-type
TaskQ("redis://h", "shop")  # E: call-arg
app.job(7)  # E: arg-type


def fine(moment: datetime, anything: Any) -> None:
    add.options(eta=moment).enqueue(anything)


app.register_type(7)  # E: call-overload
app.register_type()  # E: call-overload
app.register_type(Any, encoder=str)  # E: call-overload


# Executors

executor = app.executor()
executor.submit(add, "x")  # E: call-overload
executor.submit(add)  # E: call-overload
executor.submit(fetch, b"http://h")  # E: call-overload
future: Future[str] = executor.submit(add, 1)  # E: call-overload
executor.map(add, 1)  # E: call-overload
app.executor("4")  # E: arg-type
app.executor(pool="gpu")  # E: arg-type
app.executor(initializer=print)  # E: call-arg
TaskQ(executor_modules=[add])  # E: list-item
