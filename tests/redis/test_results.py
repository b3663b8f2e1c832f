"""Who waits for a result, and is not told: the reply expired, or somebody deleted what would have brought it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from taskq.broker.broker import Broker
from taskq.errors import JobNotFound
from taskq.results import ASK_AGAIN_AFTER, Mailbox
from tests.support.bench import Bench, job_id
from tests.support.census import ask
from tests.support.clock import FakeClock

WAIT = 20


@pytest.fixture
def mailbox(broker: Broker, clock: FakeClock) -> Iterator[Mailbox]:
    mailbox = Mailbox(broker, clock)
    yield mailbox
    mailbox.close()


def wait_for(bench: Bench, mailbox: Mailbox, name: str) -> Future[bytes]:
    bench.enqueue(name)
    (future,), ((page, call),) = mailbox.expect([job_id(name)]), mailbox.pages([job_id(name)])
    mailbox.absorb(page, bench.run(call))
    return future


def let_time_pass(bench: Bench, mailbox: Mailbox) -> None:
    """Twice what it takes to ask again, in steps during which the mailbox is busy with other jobs."""
    for number in range(4):
        bench.clock.advance(ASK_AGAIN_AFTER / 2)
        future = wait_for(bench, mailbox, f"busy{number}")
        bench.beat(w1="")
        assert bench.claim(io=10) == f"busy{number}"
        bench.commit(f"busy{number}")
        assert future.result(WAIT)


def test_a_client_whose_reply_expired_unread_asks_again(bench: Bench, mailbox: Mailbox) -> None:
    future = wait_for(bench, mailbox, "a")
    assert bench.claim(io=1) == "a"
    forget_who_waits(bench)
    bench.commit("a")
    let_time_pass(bench, mailbox)
    assert future.result(WAIT)


def test_a_client_whose_job_was_deleted_with_all_else_is_told_that_it_is_gone(bench: Bench, mailbox: Mailbox) -> None:
    future = wait_for(bench, mailbox, "a")
    ask(bench.broker, "FLUSHALL")
    bench.register("w1")
    let_time_pass(bench, mailbox)
    with pytest.raises(JobNotFound):
        future.result(WAIT)


def forget_who_waits(bench: Bench) -> None:
    """As if the reply had expired before the client read it."""
    bench.ask("DEL", bench.broker.key("awaited"))
