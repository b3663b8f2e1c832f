"""The producer's side of a measurement, run in the environment of the system it measures.

    python driver.py on_taskq one_by_one '{"count": 1000}'      prints a line of JSON

A system is a module `on_<name>` beside this file. It has of these what the system documents:

    send(task, *args) -> handle                 asend(task, *args)            enqueue one job; at least one of the two
    send_many(task, rows) -> list of handles    asend_many(task, rows)        in bulk
    result(handle) -> value                     aresult(handle)               wait for one result
    results(handles) -> values                  aresults(handles)             wait for many
    send_later_many(task, seconds, rows)                                      in bulk, due later

`task` is the name of a function in `work`. What a system does not have is answered with {}.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

Numbers = dict[str, float]


class Absent(Exception):
    """The system has no such call."""


class System:
    """The calls of one system as coroutines, whether it has them as such or as functions."""

    def __init__(self, module: Any):
        self.module = module
        self.send = self._either("send")
        self.send_many = self._either("send_many")
        self.result = self._either("result")
        self.results = self._either("results")

    def native(self, name: str) -> Callable[..., Any]:
        found = getattr(self.module, name, None)
        if found is None:
            raise Absent(name)
        return found  # type: ignore[no-any-return]

    def _either(self, name: str) -> Callable[..., Awaitable[Any]]:
        plain, coroutine = getattr(self.module, name, None), getattr(self.module, f"a{name}", None)
        if plain is None and coroutine is not None:
            return coroutine  # type: ignore[no-any-return]

        async def call(*args: Any) -> Any:
            if plain is None:
                raise Absent(name)
            return plain(*args)

        return call


async def fill(system: System, task: str, count: int, args: list[Any], size: int = 0) -> Numbers:
    """Enqueue `count` jobs of `task` in the fastest way there is. `size`: an argument of so many bytes."""
    row = (*args, *(["x" * size] if size else []))
    began = time.monotonic()
    try:
        for done in range(0, count, 20_000):
            await system.send_many(task, [row] * min(20_000, count - done))
    except Absent:
        for _ in range(count):
            await system.send(task, *row)
    return {"seconds": time.monotonic() - began}


async def later(system: System, count: int, delay: float) -> Numbers:
    """Enqueue `count` no-op jobs that are due in `delay` seconds."""
    send_later = system.native("send_later_many")
    for _ in range(0, count, 20_000):
        send_later("noop", delay, [()] * 20_000)
    return {"count": count}


async def one_by_one(system: System, count: int, size: int = 0) -> Numbers:
    """Enqueue no-op jobs, each when the one before is in Redis."""
    task, row = ("take", ("x" * size,)) if size else ("noop", ())
    for _ in range(min(count, 200)):
        await system.send(task, *row)
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(count):
        await system.send(task, *row)
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    return {"rate": count / took, "cpu_us": 1e6 * cpu / count}


async def bulk(system: System, count: int) -> Numbers:
    """Enqueue no-op jobs in bulk."""
    await system.send_many("noop", [()] * 100)
    began, cpu = time.monotonic(), time.process_time()
    await system.send_many("noop", [()] * count)
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    return {"rate": count / took, "cpu_us": 1e6 * cpu / count}


async def from_threads(system: System, count: int, threads: int) -> Numbers:
    """Enqueue from several threads; where a system has coroutines only, from as many of them."""
    share = count // threads
    if hasattr(system.module, "send"):
        send = system.module.send
        send("noop")

        def work() -> None:
            for _ in range(share):
                send("noop")

        crew = [threading.Thread(target=work) for _ in range(threads)]
        began = time.monotonic()
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        return {"rate": share * threads / (time.monotonic() - began)}
    return await concurrent(system, count, threads)


async def concurrent(system: System, count: int, coroutines: int) -> Numbers:
    """Enqueue from several coroutines of one event loop."""
    send, share = system.native("asend"), count // coroutines
    await send("noop")

    async def work() -> None:
        for _ in range(share):
            await send("noop")

    began = time.monotonic()
    await asyncio.gather(*[work() for _ in range(coroutines)])
    return {"rate": share * coroutines / (time.monotonic() - began)}


async def stamps(system: System, count: int, gap: float, warm: int = 20) -> Numbers:
    """Enqueue jobs that note when they started, one every `gap` seconds or so; the journal has the rest."""
    for index in range(-warm, count):
        await asyncio.sleep(gap * (0.5 + random.random()))
        await system.send("stamp", time.monotonic() if index >= 0 else 0.0)
    return {}


async def roundtrips(system: System, count: int) -> Numbers:
    """Enqueue a job and wait for its result, again and again: median and 99th percentile (nearest rank), in seconds."""
    took = []
    for index in range(-20, count):
        await asyncio.sleep(0.005)
        began = time.monotonic()
        await system.result(await system.send("noop"))
        took += [time.monotonic() - began] if index >= 0 else []
    took.sort()
    return {"p50": took[-(-count // 2) - 1], "p99": took[-(-count * 99 // 100) - 1]}


async def gather(system: System, count: int) -> Numbers:
    """Enqueue jobs and wait for all results (`with_work`), then ask for the same results again (`stored`)."""

    async def all_of(handles: list[Any]) -> None:
        try:
            await system.results(handles)
        except Absent:
            for handle in handles:
                await system.result(handle)

    began = time.monotonic()
    try:
        handles = await system.send_many("noop", [()] * count)
    except Absent:
        handles = [await system.send("noop") for _ in range(count)]
    await all_of(handles)
    done = time.monotonic()
    await all_of(handles)
    return {"with_work": count / (done - began), "stored": count / (time.monotonic() - done)}


async def beside(system: System, jobs: int, rounds: int, gap: float, seconds: float) -> Numbers:
    """Enqueue cpu jobs, then an io job (2 ms of waiting) every `gap` seconds for so long."""
    for _ in range(jobs):
        await system.send("burn", 0.0, rounds)
    naps, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        await system.send("nap", time.monotonic(), 0.002)
        naps += 1
        await asyncio.sleep(gap)
    return {"naps": naps}


VERBS = {
    verb.__name__: verb
    for verb in (fill, later, one_by_one, bulk, from_threads, concurrent, stamps, roundtrips, gather, beside)
}


async def main(name: str, verb: str, arguments: str) -> None:
    """Run one verb and print its numbers."""
    system = System(importlib.import_module(name))
    try:
        numbers = await VERBS[verb](system, **json.loads(arguments))
    except Absent:
        numbers = {}
    print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
