"""Every loop that talks to Redis goes on when Redis does, whatever stood between them.

Each `Subject` is one loop, at work by itself. It works; then it meets a fault, at least twice; then the fault is over,
and it must work again without being told.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.records import Claimed
from taskq.broker.wire import Wire
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerError, BrokerUnavailable, TaskqError
from taskq.lifecycle import Finish
from taskq.outbox import Outbox
from taskq.results import Mailbox
from taskq_workers import bell, exchange
from taskq_workers.bell import Bell
from taskq_workers.courier import Courier
from taskq_workers.exchange import Exchange, Identity
from taskq_workers.outcomes import Outcomes, Settled
from taskq_workers.waiting import readable
from tests.support.bench import ROUTE
from tests.support.gate import Gate, reset, say, silence
from tests.support.servers import ask, server_or_skip

WAIT = 20.0
EPOCH = "host-1-0"


class Watched(Broker):
    """A broker that counts what goes wrong. It waits half a second for an answer, so that tests need not."""

    def __init__(self, url: str):
        super().__init__(url)
        self._troubles = threading.Semaphore(0)

    def wire(self, patience: float = 0.5) -> Wire:
        return super().wire(min(patience, 0.5))

    def failure(self, error: Any) -> Exception:
        self._troubles.release()
        return super().failure(error)

    def value(self, call: Call[Any], reply: Any) -> Any:
        try:
            return super().value(call, reply)
        except TaskqError:
            self._troubles.release()
            raise

    def in_trouble(self, times: int = 2) -> None:
        """Returns when so much has gone wrong since this was asked last."""
        for _ in range(times):
            assert self._troubles.acquire(timeout=WAIT), "it does not try any more"

    def forget_troubles(self) -> None:
        while self._troubles.acquire(blocking=False):
            continue


class Subject:
    """A loop. `broker` is its way to Redis, `aside` one that nothing stands in.

    `nonsense`: what answers none of its questions.
    """

    nonsense = b":7\r\n"

    def __init__(self, broker: Watched, aside: Broker):
        self.broker, self.aside = broker, aside
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def works(self) -> None:
        """It does what it is for. Fails where it does not within a while."""
        raise NotImplementedError

    def struggle(self) -> Callable[[], object]:
        """Be at work while something is wrong. The answer is called when nothing is any more."""
        return lambda: None

    def _run(self) -> None:
        while not self._over.is_set():
            self.turn()

    def turn(self) -> None:
        """One round of its loop."""
        self._over.wait()

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(WAIT)


def a_job() -> tuple[bytes, Call[int]]:
    job_id = os.urandom(16)
    return job_id, calls.enqueue(ROUTE, [(job_id, b"body")])


class Desk(Subject):
    """The exchange of a worker process, with its desk and its door. Its lane ends every job at once."""

    slots = 4

    def __init__(self, broker: Watched, aside: Broker):
        super().__init__(broker, aside)
        self.outcomes = Outcomes()
        self.members: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        lanes: dict[str, Any] = {"io": self}
        self._loop = Exchange(Identity(EPOCH, ("default",)), broker, lanes, self.outcomes, SYSTEM_CLOCK, self)
        assert aside.run(calls.register(EPOCH, 600, {}))

    def works(self) -> None:
        job_id, enqueue = a_job()
        self.aside.run(enqueue)
        while self.members.get(timeout=WAIT)[:16] != job_id:
            continue
        assert self.aside.run(calls.locate(job_id, ROUTE)).place == "done"

    def turn(self) -> None:
        self._loop.step()

    def close(self) -> None:
        super().close()
        self._loop._link.close()
        self._loop._door.link.close()

    # Its lane, and its host

    def start(self, jobs: Sequence[Claimed] | None = None) -> None:  # type: ignore[override]
        if jobs is None:
            super().start()
        for job in jobs or ():
            self.outcomes.put(Settled(job.member, "io", "task", Finish(b"record"), 0.001, ttl=60, record=b"record"))

    def withdraw(self) -> list[Claimed]:
        return []

    def knows(self, body: bytes) -> bool:
        return True

    def written(self, batch: Sequence[Settled], dropped: set[bytes]) -> None:
        for settled in batch:
            self.members.put(settled.member)

    def gave_back(self, jobs: int) -> None: ...
    def troubled(self, error: TaskqError | None) -> None: ...

    def report(self) -> list[Call[Any]]:
        return []


class Carrier(Subject):
    """The supervisor's courier."""

    def __init__(self, broker: Watched, aside: Broker):
        super().__init__(broker, aside)
        self._errands: queue.SimpleQueue[tuple[Call[Any], Callable[[Any], object]]] = queue.SimpleQueue()
        self._courier = Courier(broker, SYSTEM_CLOCK, 0.5, lambda _: None)

    def works(self) -> None:
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._errands.put((calls.heartbeat(600, 9, {}), answers.put))
        assert answers.get(timeout=WAIT)

    def struggle(self) -> Callable[[], object]:
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._errands.put((calls.heartbeat(600, 9, {}), answers.put))
        return lambda: answers.get(timeout=WAIT)

    def turn(self) -> None:
        with suppress(queue.Empty):
            self._courier.post(*self._errands.get_nowait())
        if readable([self._courier] if self._courier.waiting else [], 0.01):
            self._courier.read()
        self._courier.go()

    def close(self) -> None:
        super().close()
        self._courier._link.close()


class Listener(Subject):
    """The supervisor's bell."""

    def __init__(self, broker: Watched, aside: Broker):
        super().__init__(broker, aside)
        self._rang: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._bell = Bell(broker, ("default",), SYSTEM_CLOCK)

    def works(self) -> None:
        until = SYSTEM_CLOCK.monotonic() + WAIT
        rang = ""
        while rang != "timer" and SYSTEM_CLOCK.monotonic() < until:  # a dead connection may take a token with it
            self.aside.run(Call("RPUSH", (self.aside.key("wake", "timer"), b"1"), int))
            with suppress(queue.Empty):
                rang = self._rang.get(timeout=0.5)
        assert rang == "timer"

    def turn(self) -> None:
        self._bell.listen(solo=False)
        if readable([self._bell] if self._bell.waiting else [], 0.01):
            self._rang.put(self._bell.answer())

    def close(self) -> None:
        super().close()
        self._bell._link.close()


class Postman(Subject):
    """The thread that waits for results. Somebody always waits, so that it does."""

    def __init__(self, broker: Watched, aside: Broker):
        super().__init__(broker, aside)
        self._mailbox = Mailbox(broker)
        assert aside.run(calls.register(EPOCH, 600, {}))
        self.standing = [self._expect()[1]]

    def _expect(self) -> tuple[bytes, Future[bytes]]:
        job_id, enqueue = a_job()
        self.aside.run(enqueue)
        (future,), ((page, call),) = self._mailbox.expect([job_id]), self._mailbox.pages([job_id])
        self._mailbox.absorb(page, self.aside.run(call))
        return job_id, future

    def works(self) -> None:
        job_id, future = self._expect()
        claimed = self.aside.run(calls.claim(EPOCH, 0, {"io": 100}, ["default"]))
        assert job_id in [job.member[:16] for job in claimed.jobs]
        self.aside.run(calls.commit(EPOCH, [(job_id + ROUTE.encode(), 60, "b3", b"record")]))
        assert future.result(WAIT) == b"record"

    def close(self) -> None:
        super().close()
        self._mailbox.close()


class Producer(Subject):
    """`Broker.run`: a loop as long as it has no answer."""

    nonsense = b"+PONG\r\n"

    def works(self) -> None:
        assert self.ask() == 1

    def ask(self) -> int:
        return self.broker.run(a_job()[1])

    def struggle(self) -> Callable[[], object]:
        """Who asks meanwhile has an answer, soon after it can be had."""
        pool = ThreadPoolExecutor(1)
        asked = pool.submit(self._ask_again)
        pool.shutdown(wait=False)
        return lambda: asked.result(WAIT)

    def _ask_again(self) -> int:
        """A wrong password is an error at once: the application asks again. What may pass is none."""
        until = SYSTEM_CLOCK.monotonic() + WAIT
        while True:
            try:
                return self.ask()
            except BrokerUnavailable:
                raise
            except BrokerError:
                if SYSTEM_CLOCK.monotonic() > until:
                    raise


class Sender(Producer):
    """The thread that sends for coroutines."""

    def __init__(self, broker: Watched, aside: Broker):
        super().__init__(broker, aside)
        self._outbox = Outbox(broker)

    def ask(self) -> int:
        return asyncio.run(self._outbox.run(a_job()[1]))

    def close(self) -> None:
        super().close()
        self._outbox.close()


SUBJECTS: list[type[Subject]] = [Desk, Carrier, Listener, Postman, Producer, Sender]


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.__name__)
def subject_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Any]]:
    """Makes a subject that talks to the first URL, and has talked to it."""
    for module, name, seconds in (
        (exchange, "BLOCK", 0.1),
        (exchange, "PATIENCE", 0.5),
        (bell, "BLOCK", 0.1),
        (bell, "PATIENCE", 0.5),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr("taskq.results.BLOCK", 0.1)
    made: list[Any] = []

    def make(url: str, aside: str) -> Subject:
        broker, free = Watched(url), Broker(aside)
        subject: Subject = request.param(broker, free)
        made.extend([subject, broker, free])
        subject.start()
        subject.works()
        return subject

    yield make
    for each in made:
        each.close()


ANSWERS = {
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "READONLY": b"-READONLY You can't write against a read only replica.\r\n",
    "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "CLUSTERDOWN": b"-CLUSTERDOWN The cluster is down\r\n",
    "TRYAGAIN": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "BUSY": b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
    "UNBLOCKED": b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
    "NOSCRIPT": b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
    "NOAUTH": b"-NOAUTH Authentication required.\r\n",
    "WRONGPASS": b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "max clients": b"-ERR max number of clients reached\r\n",
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
Fault = Callable[[Gate], AbstractContextManager[None]]
FAULTS: dict[str, Fault] = {
    "refused": Gate.refusing,
    "reset": lambda gate: gate.shut(reset),
    "silence": lambda gate: gate.shut(silence),
    **{name: lambda gate, answer=answer: gate.shut(say(answer)) for name, answer in ANSWERS.items()},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_goes_on_after(subject_at: Callable[[str, str], Subject], gate: Gate, redis_url: str, fault: str) -> None:
    subject = subject_at(gate.url, redis_url)
    subject.broker.forget_troubles()
    with FAULTS[fault](gate):
        recovered = subject.struggle()
        subject.broker.in_trouble()
    recovered()
    subject.works()


def test_it_goes_on_after_answers_to_other_questions(
    subject_at: Callable[[str, str], Subject], gate: Gate, redis_url: str
) -> None:
    subject = subject_at(gate.url, redis_url)
    subject.broker.forget_troubles()
    with gate.shut(say(subject.nonsense)):
        recovered = subject.struggle()
        subject.broker.in_trouble()
    recovered()
    subject.works()


@pytest.mark.parametrize("times", [1, 2])
def test_it_goes_on_after_its_connections_got_no_more_answers(
    subject_at: Callable[[str, str], Subject], gate: Gate, redis_url: str, times: int
) -> None:
    subject = subject_at(gate.url, redis_url)
    for _ in range(times):
        gate.deafen()
        subject.works()


# A server of our own


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with server_or_skip() as server:
        yield server.url


def flush_and_kill(url: str) -> None:
    ask(url, "SCRIPT FLUSH")
    ask(url, "CLIENT KILL TYPE normal SKIPME yes")


HURTS: dict[str, Callable[[str], object]] = {
    "CLIENT KILL": lambda url: ask(url, "CLIENT KILL TYPE normal SKIPME yes"),
    "SCRIPT FLUSH": lambda url: ask(url, "SCRIPT FLUSH"),
    "SCRIPT FLUSH and a CLIENT KILL": flush_and_kill,
}


@pytest.mark.parametrize("hurt", HURTS)
def test_it_goes_on_after_a(subject_at: Callable[[str, str], Subject], server_url: str, hurt: str) -> None:
    assert ask(server_url, "FLUSHALL") == "+OK"
    subject = subject_at(server_url, server_url)
    for _ in range(3):
        HURTS[hurt](server_url)
        subject.works()


@pytest.mark.parametrize("subject_at", [Desk, Listener, Postman], indirect=True, ids=lambda kind: kind.__name__)
def test_it_goes_on_after_a_client_unblock(subject_at: Callable[[str, str], Subject], server_url: str) -> None:
    assert ask(server_url, "FLUSHALL") == "+OK"
    subject = subject_at(server_url, server_url)
    for _ in range(3):
        while not unblock(server_url):
            continue
        subject.broker.in_trouble(1)
        subject.works()


def unblock(url: str) -> bool:
    """End a BLPOP with an error; whether there was one."""
    blocked = re.findall(r"^id=(\d+) .* flags=\w*b", ask(url, "CLIENT LIST"), re.MULTILINE)
    return ":1" in [ask(url, f"CLIENT UNBLOCK {client} ERROR") for client in blocked]


def test_it_goes_on_after_the_password_was_changed_and_changed_back(
    subject_at: Callable[[str, str], Subject], server_url: str
) -> None:
    ask(server_url, "FLUSHALL")
    ask(server_url, "ACL SETUSER changing on >old ~* +@all")
    subject = subject_at(server_url.replace("unix://", "unix://changing:old@"), server_url)
    subject.broker.forget_troubles()
    ask(server_url, "ACL SETUSER changing resetpass >new")
    ask(server_url, "CLIENT KILL USER changing")
    recovered = subject.struggle()
    subject.broker.in_trouble()
    ask(server_url, "ACL SETUSER changing >old")
    recovered()
    subject.works()


def test_an_error_nobody_thought_of_reaches_who_waits_and_the_thread_goes_on(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Mailbox, link: object) -> list[bytes]:
        monkeypatch.undo()
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(Mailbox, "_told", fail)
    broker, aside = Watched(redis_url), Broker(redis_url)
    postman = Postman(broker, aside)
    (standing,) = postman.standing
    with pytest.raises(BrokerError, match="cannot wait for results: RuntimeError: nobody thought of this"):
        standing.result(WAIT)
    postman.works()
    for each in (postman, broker, aside):
        each.close()
