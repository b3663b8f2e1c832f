"""Workers that know different types on one namespace, as during a deploy."""

from __future__ import annotations

from taskq.broker.broker import Broker
from tests.process import points
from tests.support.census import one_place, take_census
from tests.support.workers import worker

WAIT = 30


def test_a_job_with_a_new_type_waits_for_a_worker_that_knows_it(redis_url: str) -> None:
    broker = Broker(redis_url)
    points.newer.use(broker)
    try:
        with worker(redis_url, "--procs", "1", app="tests.process.points:older") as old:
            job = points.move.enqueue(points.Point(1))
            said = old.wait_for("move", outcome="parked")
            assert "type 'tests.process.points.Point' is not registered here; offered to others" in said["why"]
            with worker(redis_url, "--procs", "1", app="tests.process.points:newer") as new:
                assert job.result(WAIT) == (points.Point(2), new.process.pid)
        assert one_place(take_census(broker)) == []
    finally:
        points.newer.close()
