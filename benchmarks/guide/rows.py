"""The rows of the guide's table: what is done, in which three ways, and what is expected of the third.

A row is a class: making one prepares what there is to do, in a folder that is there for as long as it is needed; then
each of its three methods does all of it. What starts slowly (processes of a pool, the worker) has started before. Where
one after another would take too long, `sample` says what part of the work is done so; the time is that much longer.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, ClassVar, Protocol

from benchmarks.guide import work
from benchmarks.guide.work import app as work_app
from examples.guide import etl, logs, primes, scraper
from examples.guide.web import read
from taskq import TaskQ
from taskq.broker import calls

Flags = dict[str, int | str]
PROCS, THREADS = 2, 16
AT_ONCE = PROCS * THREADS


class Pools(Protocol):
    """The standard library's pools, started: as many threads and processes as the worker has."""

    threads: ThreadPoolExecutor
    processes: ProcessPoolExecutor


class Row:
    """One kind of work. `site`: address of a web server on `folder`, which answers after LATENCY seconds.

    `least`: how many times as fast as one after another it should be with taskq, on two cores. `beside`: should it be
    as fast as the standard library, but for a tenth? `module`: whose `app` the worker has; `flags`: of the worker.
    """

    title: ClassVar[str]
    pool: ClassVar[str]
    module: ClassVar[str] = "benchmarks.guide.work"
    flags: ClassVar[Flags] = {}
    least: ClassVar[float | None] = None
    beside: ClassVar[bool] = True
    sample: ClassVar[float] = 1.0
    app: TaskQ = work_app

    def __init__(self, folder: Path, site: str): ...
    def warm(self) -> None: ...
    def prepare(self) -> None:
        """What comes before `taskq` and is not timed."""

    def one_by_one(self) -> Any: ...
    def standard(self, pools: Pools) -> Any: ...
    def taskq(self) -> Any: ...


class Mapped(Row):
    """One function on many arguments: only the executor differs."""

    function: Callable[[Any], Any]
    arguments: Iterable[Any]
    lane: ClassVar[Any] = "cpu"
    chunksize: ClassVar[int] = 1

    def warm(self) -> None:
        self._on(self.app.executor(pool=self.lane), [*self.arguments][: 2 * AT_ONCE])

    def one_by_one(self) -> list[Any]:
        arguments = [*self.arguments]
        return [self.function(argument) for argument in arguments[: round(len(arguments) * self.sample)]]

    def standard(self, pools: Pools) -> list[Any]:
        return self._on(pools.processes if self.lane == "cpu" else pools.threads, self.arguments)

    def taskq(self) -> list[Any]:
        with self.app.executor(pool=self.lane) as executor:
            return self._on(executor, self.arguments)

    def _on(self, executor: Executor, arguments: Iterable[Any]) -> list[Any]:
        return list(executor.map(self.function, arguments, chunksize=self.chunksize))


class Requests(Mapped):
    title, pool, lane = "100 HTTP requests of 100 ms", "32 threads", "io"
    module, app, least = "examples.guide.scraper", scraper.app, 12.0
    function = staticmethod(scraper.scrape)

    def __init__(self, folder: Path, site: str):
        scraper.write_pages(folder, 100)
        self.arguments = [f"{site}/{n}.html" for n in range(100)]


class Images(Mapped):
    title, pool = "50 thumbnails of photos of 6 megapixels", "2 processes"
    module, least = "examples.guide.thumbnails", 1.8

    def __init__(self, folder: Path, site: str):
        from examples.guide import thumbnails  # needs Pillow

        self.app, self.function = thumbnails.app, thumbnails.shrink
        self.arguments = [thumbnails.take(str(folder / f"{n}.jpg"), n) for n in range(50)]


class Primes(Row):
    title, pool = "primes below 1,000,000, 25,000 numbers a call", "2 processes"
    module, app, least = "examples.guide.primes", primes.app, 1.9
    limit = 1_000_000

    def warm(self) -> None:
        for _ in range(2):  # while a worker gets to know a task, its probe costs some percent
            self.taskq()

    def one_by_one(self) -> int:
        return primes.count(0, self.limit)

    def standard(self, pools: Pools) -> int:
        return primes.count_all(pools.processes, self.limit)

    def taskq(self) -> int:
        with self.app.executor(pool="cpu") as executor:
            return primes.count_all(executor, self.limit)


class Logs(Row):
    title, pool, module, app = "16 rotated logs of 100,000 lines", "2 processes", "examples.guide.logs", logs.app

    def __init__(self, folder: Path, site: str):
        self.folder = str(folder)
        logs.write_logs(self.folder, 16, 100_000)
        self.paths = [str(path) for path in folder.glob("access.log*")]

    def warm(self) -> None:
        logs.app.gather(logs.count_statuses.enqueue_many([(path,) for path in self.paths[:PROCS]]))

    def one_by_one(self) -> Counter[str]:
        return self._sum(map(work.count_statuses, self.paths))

    def standard(self, pools: Pools) -> Counter[str]:
        futures = [pools.processes.submit(work.count_statuses, path) for path in self.paths]
        return self._sum(future.result() for future in as_completed(futures))

    def taskq(self) -> Counter[str]:
        return logs.summary(self.folder)

    def _sum(self, counts: Iterable[dict[str, int]]) -> Counter[str]:
        return sum(map(Counter, counts), Counter[str]())


class Etl(Row):
    title, pool = "ETL of 40 reports in three stages", "8 threads, 2 processes"
    module, app, flags, least = "examples.guide.etl", etl.app, {"queues": "load,transform,extract"}, 2.0

    def __init__(self, folder: Path, site: str):
        lines = (f"2026-{n % 12 + 1:02}-01,{n % 40},{n % 9000}\n" for n in range(9_000))
        (folder / "sales").write_text("".join(lines), encoding="ascii")
        self.urls, self.database = [f"{site}/sales"] * 40, folder / "paid.db"

    def warm(self) -> None:
        etl.run(self.urls[:8], self._new())

    def one_by_one(self) -> int:
        database = self._new()
        return sum(etl.load(etl.by_month(read(url).decode()), database) for url in self.urls)

    def standard(self, pools: Pools) -> int:
        database = self._new()
        with ThreadPoolExecutor(8) as threads:
            pages = as_completed([threads.submit(read, url) for url in self.urls])
            tables = [pools.processes.submit(work.by_month, page.result().decode()) for page in pages]
            return sum(etl.load(table.result(), database) for table in as_completed(tables))

    def taskq(self) -> int:
        return etl.run(self.urls, self._new())

    def _new(self) -> str:
        self.database.unlink(missing_ok=True)
        sqlite3.connect(self.database).close()
        return str(self.database)


class Coroutines(Row):
    """Enqueueing is not in taskq's time: the queue is paused until all are in it."""

    title, pool, flags = "5,000 coroutines of 50 ms, 2,000 at a time", "asyncio", {"async": 1000}
    least, beside, sample = 200.0, False, 0.01
    jobs = 5000

    def warm(self) -> None:
        self.ready = work.anap.enqueue_many([(0.05,)] * self.jobs)
        self._done()

    def prepare(self) -> None:
        work_app.carry(calls.pause("default", "the benchmark"))
        self.ready = work.anap.enqueue_many([(0.05,)] * self.jobs)

    def one_by_one(self) -> None:
        for _ in range(round(self.jobs * self.sample)):
            asyncio.run(asyncio.sleep(0.05))

    def standard(self, pools: Pools) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        places = asyncio.Semaphore(2000)

        async def one() -> None:
            async with places:
                await asyncio.sleep(0.05)

        await asyncio.gather(*[one() for _ in range(self.jobs)])

    def taskq(self) -> None:
        work_app.carry(calls.resume("default"))
        self._done()

    def _done(self) -> None:
        work_app.gather(self.ready, timeout=60)


class Naps(Mapped):
    title, pool, lane, sample = "3,200 calls that wait for 5 ms", "32 threads", "io", 0.1
    function, arguments = staticmethod(work.nap), [0.005] * 3200


class Spins(Mapped):
    title, pool = "400 calls of 5 ms of Python", "2 processes"
    function, arguments = staticmethod(work.spin), [6_500] * 400


class Tiny(Mapped):
    title, pool, beside = "20,000 calls of 0.1 us", "2 processes", False
    function, arguments = staticmethod(work.square), range(20_000)


class Chunks(Tiny):
    title = "the same in chunks of 1,000"
    chunksize = 1000


ROWS: dict[str, type[Row]] = {
    "requests": Requests,
    "images": Images,
    "coroutines": Coroutines,
    "primes": Primes,
    "etl": Etl,
    "logs": Logs,
    "naps": Naps,
    "spins": Spins,
    "tiny": Tiny,
    "chunks": Chunks,
}
