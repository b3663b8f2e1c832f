"""Jobs that wait for jobs."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from heapq import merge
from pathlib import Path

from taskq import TaskQ, TimeLimit, current_job
from taskq.errors import TimeLimitExceeded
from tests.process.jobs import note

app = TaskQ()


@app.task(retries=0)
def merge_sort(numbers: list[float]) -> list[float]:
    if len(numbers) < 2:
        return numbers
    middle = len(numbers) // 2
    return list(merge(*app.gather(merge_sort.enqueue_many([(numbers[:middle],), (numbers[middle:],)]))))


@app.task(retries=0, pool="cpu")
def fibonacci(n: int) -> int:
    if n < 2:
        return n
    one, other = fibonacci.enqueue(n - 1), fibonacci.enqueue(n - 2)
    return one.result() + other.result()


@app.task(retries=0)
async def afibonacci(n: int) -> int:
    if n < 2:
        return n
    one, other = await afibonacci.aenqueue(n - 1), await afibonacci.aenqueue(n - 2)
    return await one.aresult() + await other.aresult()


@app.task(retries=0)
def files_below(folder: str) -> int:
    """A walk over a tree, a job for each folder."""
    entries = list(os.scandir(folder))
    walks = [files_below.enqueue(entry.path) for entry in entries if entry.is_dir()]
    return sum(entry.is_file() for entry in entries) + sum(job.result() for job in app.as_completed(walks))


@app.task(retries=0)
def ping(depth: int) -> int:
    return 0 if depth == 0 else 1 + pong.enqueue(depth - 1).result()


@app.task(retries=0)
async def pong(depth: int) -> int:
    return 0 if depth == 0 else 1 + await (await ping.aenqueue(depth - 1)).aresult()


@app.task(retries=0)
def deep(depth: int) -> int:
    return 0 if depth == 0 else 1 + deep.enqueue(depth - 1).result()


@app.task(retries=0)
def first_of(count: int) -> int:
    """How many of its children have run when it hears of the first."""
    children = ping.enqueue_many([(0,)] * count)
    next(app.as_completed(children))
    return count - sum(child.cancel() for child in children)


@app.task(retries=0)
def itself() -> None:
    job = current_job()
    assert job is not None
    app.job(job.id).result()


@app.task(retries=0)
def wait_for(job_id: str) -> None:
    app.job(job_id).result()


@app.task(retries=0)
async def await_child_that_waits() -> None:
    job = current_job()
    assert job is not None
    await (await wait_for.aenqueue(job.id)).aresult()


@app.task(retries=0, result_ttl="1d")
def nap(seconds: float) -> tuple[float, int]:
    """When it ended, and in which thread."""
    note("nap")
    time.sleep(seconds)
    return time.monotonic(), threading.get_ident()


@app.task(retries=0, timeout=0.3)
def hurried(seconds: float) -> str:
    """Waits for a nap that takes longer than it has; says what of it came to it, and when."""
    child = nap.enqueue(seconds)
    try:
        child.result()
    except TimeLimit:
        late = time.monotonic()
        ended, thread = child.result()
        return f"{'after' if ended <= late else 'within'} {'here' if thread == threading.get_ident() else 'elsewhere'}"
    return "in time"


@app.task(retries=0, timeout=0.3)
def loop_for_ever() -> None:
    while True:
        pass


@app.task(retries=0)
def mother_of_a_loop() -> str:
    try:
        loop_for_ever.enqueue().result()
    except TimeLimitExceeded:
        return nap.enqueue(0).result() and "went on"
    return "nothing happened"


@app.task(retries=3)
def mother_of_a_killer() -> str:
    note("mother")
    try:
        kill_once.enqueue().result()
    except Exception as error:
        return type(error).__name__
    return "spared"


@app.task(retries=0)
def kill_once() -> None:
    """The first process that runs this is killed by it."""
    note("kill")
    mark = Path(os.environ["TASKQ_TEST_MARK"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)


@app.task(retries=0, queue="elsewhere")
def held_elsewhere(path: str) -> None:
    """Until somebody opens the FIFO at `path` for writing."""
    Path(path).read_bytes()


@app.task(retries=0)
def wait_for_elsewhere(path: str) -> None:
    note("waits")
    held_elsewhere.enqueue(path).result()


@app.task(retries=0)
async def await_elsewhere(path: str) -> None:
    note("waits")
    await (await held_elsewhere.aenqueue(path)).aresult()


@app.task(retries=0)
async def aping() -> str:
    return "pong"


@app.task(retries=0)
def in_threads_of_its_own(count: int) -> int:
    """Waits for jobs in threads that carry its context."""
    jobs = [(copy_context(), job) for job in ping.enqueue_many([(1,)] * count)]
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(lambda job: job[0].run(job[1].result), jobs))


@app.task(retries=0, concurrency=1)
def one_at_a_time(n: int) -> int:
    return n


@app.task(retries=0)
def mother_of_a_queue(count: int) -> int:
    return sum(app.gather(one_at_a_time.enqueue_many([(1,)] * count)))


@app.task(retries=0)
def sum_by_executor(depth: int) -> int:
    """Each level waits for futures of the standard library."""
    if depth == 0:
        return 1
    with app.executor() as executor:
        futures = [executor.submit(sum_by_executor, depth - 1) for _ in range(2)]
        return sum(future.result() for future in as_completed(futures))
