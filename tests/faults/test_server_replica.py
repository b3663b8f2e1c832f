"""A replica is promoted: work goes on there; what only the old primary had is lost, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerUnavailable
from taskq.ids import named_id
from tests.support.pair import Pair, pair
from tests.support.scene import at_work
from tests.support.servers import ask, binaries, kinds


@pytest.fixture(params=kinds())
def servers(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with pair(binaries().get(request.param)) as servers:
        yield servers


def test_nothing_is_lost_with_a_primary_whose_replica_was_level(servers: Pair) -> None:
    with at_work(servers.url) as scene:
        servers.hush()
        servers.part()
        servers.change_over()
        servers.replica.kill()
        scene.settle()


def test_what_only_the_old_primary_had_is_lost_or_runs_again_and_nothing_else(servers: Pair) -> None:
    with at_work(servers.url) as scene:
        since = SYSTEM_CLOCK.monotonic()
        servers.level()
        servers.part()
        scene.journal.wait_for("nap", len(scene.journal.entries("nap")) + 30)
        servers.primary.kill()
        servers.change_over()
        late = {job.raw for job, at in scene.producer.acknowledged if at > since}
        ran = {named_id(entry.job) for entry in scene.journal.entries("nap") if entry.at > since - 2}
        acknowledged = scene.settle(missing=late, undone=late | ran)
        lost = [job.id for job in acknowledged if job.status() == "unknown"]
        print(f"lost with the old primary: {lost}; run again: {sorted(scene.repeated())}")
        assert lost


def test_connections_to_a_primary_that_was_demoted_move_to_the_new_one(servers: Pair) -> None:
    with at_work(servers.url) as scene:
        servers.hush()
        servers.part()
        servers.change_over()
        servers.follow()
        scene.settle()
        assert "role:slave" in ask(servers.replica.url, "INFO replication")


def test_an_old_primary_that_comes_back_as_a_replica_takes_nothing_and_is_left_again(servers: Pair) -> None:
    with at_work(servers.url, patience=0) as scene:
        servers.hush()
        servers.part()
        servers.change_over()
        servers.replica.kill()
        servers.replica.start()
        servers.follow()
        servers.point_at(servers.replica)
        servers.primary.kill()
        refusal = scene.producer.wait_for_a_refusal("READONLY")
        servers.primary.start()
        servers.point_at(servers.primary)
        assert isinstance(refusal, BrokerUnavailable)
        scene.settle()
