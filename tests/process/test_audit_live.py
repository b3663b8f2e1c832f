"""`taskq audit` on a system at work: what moves is no finding, and what is wrong is found and repaired beside it."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskq import exit_codes, ids
from taskq.broker.broker import Broker
from tests.process import jobs
from tests.process.test_cli_process import taskq
from tests.support.census import ask, one_place, take_census
from tests.support.workers import worker

FLAGS = ("--procs", "2", "--threads", "4")
BACKLOG, AUDITS = 10_000, 3


@contextmanager
def producing(seed: int = 1) -> Iterator[None]:
    """Jobs of all kinds come as fast as they can: quick, delayed, retried, cancelled, failing, deadly."""
    over, chance = threading.Event(), random.Random(seed)

    def produce() -> None:
        while not over.is_set():
            jobs.add.enqueue_many([(1, 2)] * chance.randint(1, 200))
            jobs.third_time_lucky.enqueue()
            jobs.ask_again.enqueue()
            jobs.fail.enqueue("value")
            jobs.add.options(delay=chance.random() / 5).enqueue_many([(1, 2)] * 20)
            for delay in (0.0, 0.05):
                jobs.add.options(delay=delay).enqueue(1, 2).cancel()
            if chance.random() < 0.01:
                jobs.exit_now.enqueue()

    producer = threading.Thread(target=produce, name="producer")
    producer.start()
    try:
        yield
    finally:
        over.set()
        producer.join()


def audit(url: str, *flags: str) -> dict[str, Any]:
    said = taskq("audit", "--json", "--url", url, *flags)
    data = json.loads(said.stdout or "null")
    assert data is not None, said.stderr
    repaired = data["repaired"] == len(data["findings"])
    assert said.returncode == (exit_codes.OK if data["ok"] or repaired else exit_codes.FAILED)
    return dict(data)


def test_audits_of_a_system_at_work_find_nothing(broker: Broker, redis_url: str) -> None:
    jobs.add.enqueue_many([(1, 2)] * BACKLOG)
    with worker(redis_url, *FLAGS), producing():
        audits = [audit(redis_url) for _ in range(AUDITS)]
    assert [found["findings"] for found in audits] == [[]] * AUDITS
    assert audits[-1]["outcomes"] > audits[0]["outcomes"], "nothing went on"
    assert one_place(take_census(broker)) == []


def test_what_is_wrong_is_found_and_repaired_while_others_move(broker: Broker, redis_url: str) -> None:
    lost = jobs.add.enqueue(20, 22)
    assert ask(broker, "LPOP", broker.key("ready", "default:io")) is not None
    with worker(redis_url, *FLAGS), producing():
        assert [(one["kind"], one["subject"]) for one in audit(redis_url)["findings"]] == [("lost", ids.show(lost.raw))]
        assert audit(redis_url, "--repair", "--yes")["repaired"] == 1
        assert lost.result(60) == 42
        assert audit(redis_url)["ok"]
    assert one_place(take_census(broker)) == []
