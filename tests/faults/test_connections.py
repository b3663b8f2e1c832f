"""What can happen to a connection: jobs are enqueued, run and told of through it all, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from random import Random

import pytest

from taskq.broker.broker import Broker
from taskq.errors import BrokerError
from taskq.job import Job
from tests.faults import jobs
from tests.faults.proxy import Proxy, Weather
from tests.faults.site import Site, pass_time, settle

WAIT = 30
Fault = Callable[[Proxy, Random], AbstractContextManager[object]]


def at_once(do: Callable[[Proxy, Random], object]) -> Fault:
    """A fault that takes no time."""

    @contextmanager
    def fault(proxy: Proxy, chance: Random) -> Iterator[None]:
        do(proxy, chance)
        yield

    return fault


FAULTS: dict[str, Fault] = {
    "requests are cut": at_once(lambda proxy, chance: proxy.cut_some("request", chance)),
    "replies are cut": at_once(lambda proxy, chance: proxy.cut_some("reply", chance)),
    "connections are reset": at_once(lambda proxy, _: proxy.reset()),
    "connections are half open": at_once(lambda proxy, _: proxy.half_open()),
    "nobody listens": lambda proxy, _: proxy.refusing(),
    "nothing gets through": lambda proxy, _: proxy.stalled(),
    "everything is late": lambda proxy, _: proxy.slow(Weather(delay=0.05)),
    "bytes drip": lambda proxy, _: proxy.slow(Weather(delay=0.001, drip=16)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_jobs_run_once_each_while(fault: str, site: Site) -> None:
    """The fault strikes the worker's connections and the producer's, again and again, with work on all of them."""
    host, proxy, chance = site.ready("--procs", "2", "--threads", "4", "--lease", "15"), site.proxy(), Random(fault)
    jobs.app.use(Broker(proxy.url))
    enqueued: dict[str, Job[str]] = {}
    with ThreadPoolExecutor(1) as producer:
        for round_ in range(1 if fault == "connections are half open" else 2):  # it takes a timeout of 5 s
            enqueued |= {token: enqueue(token) for token in tokens(round_, "before", 60)}
            with FAULTS[fault](host.proxy, chance), FAULTS[fault](proxy, chance):
                amid = producer.map(enqueue_or_not, tokens(round_, "amid", 3))
                pass_time(0.3)
            enqueued |= {token: job or enqueue(token) for token, job in amid}
    runs = (jobs.app.gather(enqueued.values(), WAIT), site.executions())
    assert sorted(run.token for run in runs[1]) == sorted(enqueued)
    assert sorted(runs[0]) == sorted(run.name for run in runs[1])
    settle(site)


def tokens(round_: int, when: str, many: int) -> list[str]:
    return [f"{when}-{round_}-{number}" for number in range(many)]


def enqueue(token: str) -> Job[str]:
    return jobs.nap.options(job_id=token).enqueue(token, 0.005)


def enqueue_or_not(token: str) -> tuple[str, Job[str] | None]:
    """None where nobody knows what became of it: it can be enqueued again under the same id."""
    try:
        return token, enqueue(token)
    except BrokerError:
        return token, None
