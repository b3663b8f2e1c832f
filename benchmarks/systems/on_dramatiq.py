"""Dramatiq on Redis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dramatiq
import work
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

# redis-py has 100 connections a pool, which is less than the threads that store results.
URL = f"{work.REDIS}?max_connections=2000"
broker = RedisBroker(url=URL)
broker.add_middleware(AsyncIO())
if work.RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=URL), store_results=True))
dramatiq.set_broker(broker)


def _silent(function: Callable[..., Any]) -> Callable[..., None]:
    """`function` without what it returns: Dramatiq logs a warning for each value that it does not store."""

    @functools.wraps(function)
    def call(*args: Any) -> None:
        function(*args)

    return call


take, burn = (work.take, work.burn) if work.RESULTS else (_silent(work.take), _silent(work.burn))
tasks = {
    function.__name__: dramatiq.actor(function, queue_name="cpu" if function is burn else "default")
    for function in (work.noop, take, work.stamp, work.nap, work.anap, burn)
}


def send(task: str, *args: Any) -> dramatiq.Message[Any]:
    return tasks[task].send(*args)


def result(message: dramatiq.Message[Any]) -> Any:
    return message.get_result(block=True, timeout=60_000)
