"""The policy of the supervisor, round by round: real boards and channels, but no process, no Redis, and no time."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import count, pairwise
from typing import Any

import pytest

from taskq import exit_codes
from taskq.broker.call import Call
from taskq.broker.records import Beat, Reaped
from taskq.config import WorkerSettings
from taskq_workers.board import Board, Tally
from taskq_workers.boots import TO_SHOW
from taskq_workers.channel import Channel, Message
from taskq_workers.crew import Berth, Child
from taskq_workers.obituaries import LOST
from taskq_workers.supervisor import GIL_GRACE, LAST_WORDS, Lines, Supervisor
from taskq_workers.waiting import readable
from tests.support.clock import FakeClock

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))
INTRODUCTION = {"url": "redis://h", "namespace": "taskq", "tasks": []}
PENDING = True
QUIET = Beat(lost=(), victim=None, next_due=None)


class Process:
    """Ends when the test says so, or when it is killed. Its file is readable from then on."""

    def __init__(self) -> None:
        self.pid = 2**30
        self.code: int | None = None
        self.stopped = False
        self.size: int | None = 50 << 20
        self._reader, self._writer = os.pipe()

    def fileno(self) -> int:
        return self._reader

    def end(self, code: int = 0) -> None:
        if self.code is None:
            self.code = code
            os.close(self._writer)

    def kill(self) -> None:
        self.end(-signal.SIGKILL)

    def is_stopped(self) -> bool:
        return self.stopped

    def rss(self) -> int | None:
        return self.size

    def wait(self) -> int:
        assert self.code is not None, "the supervisor would wait"
        os.close(self._reader)
        return self.code


class Actor(Child):
    """A child whose part the test plays: `theirs` is its end of the channel."""

    theirs: Channel
    dumps: int

    def says(self, **message: Any) -> None:
        assert self.theirs.send(message)

    def hears(self) -> list[Message] | None:
        return self.theirs.receive()

    def dump(self) -> None:
        self.dumps += 1

    def close(self) -> None:
        self.process.kill()
        self.theirs.close()
        self.channel.close()
        self.board.close()


class Troupe:
    """The crew: keeps all that were ever born. The host has no room for another while it is `full`."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.born: list[Actor] = []
        self.full = False
        self.refused = 0
        self.private: Callable[[], Iterable[int]] = tuple
        self._births = count()

    def start(self, number: int, solo: bool = False) -> Child:
        if self.full:
            self.refused += 1
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        ours, theirs = Channel.pair()
        process: Any = Process()
        actor = Actor(Berth(number, solo, f"w{next(self._births)}"), process, ours, Board(4))
        actor.theirs, actor.dumps = theirs, 0
        self.children.append(actor)
        self.born.append(actor)
        return actor


class Signals:
    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def fileno(self) -> int:
        return self._reader

    def arrive(self, *numbers: signal.Signals) -> None:
        os.write(self._writer, bytes(numbers))

    def take(self) -> list[signal.Signals]:
        return [signal.Signals(number) for number in os.read(self._reader, 100)]

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Courier:
    """Calls that wait for the test to answer them, in order."""

    waiting = False

    def __init__(self) -> None:
        self.posted: list[tuple[Call[Any], Callable[[Any], object]]] = []

    def post(self, call: Call[Any], then: Callable[[Any], object] = lambda _: None) -> None:
        self.posted.append((call, then))

    @property
    def busy(self) -> bool:
        return bool(self.posted)

    def go(self) -> None: ...
    def read(self) -> None: ...
    def due(self) -> float | None:
        return None

    def files(self) -> list[int]:
        return [1001]

    def names(self) -> list[str]:
        return [call.name for call, _ in self.posted]

    def answer(self, name: str, value: Any) -> Call[Any]:
        """Answer the first call of that name."""
        at = self.names().index(name)
        call, then = self.posted.pop(at)
        then(value)
        return call


class Bell:
    """Rings when the test says so. Like the real one it has to be listened to again after each answer."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self._again_at = clock, 0.0
        self.listening: bool | None = None
        self._rung = ""
        self._reader, self._writer = os.pipe()

    @property
    def waiting(self) -> bool:
        return self.listening is not None

    def fileno(self) -> int:
        return self._reader

    def due(self) -> float:
        return self._again_at

    def files(self) -> list[int]:
        return [1002]

    def listen(self, solo: bool) -> None:
        if self._clock.monotonic() >= self._again_at:
            self.listening, self._again_at = solo, self._clock.monotonic() + 5.0

    def ring(self, which: str) -> None:
        self._rung = which
        os.write(self._writer, b"1")

    def answer(self) -> str:
        os.read(self._reader, 1)
        self.hang_up()
        return self._rung

    def hang_up(self) -> None:
        self.listening, self._again_at = None, 0.0

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self.lines.append((event, fields))

    def told(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == event]


class Play:
    """A supervisor on its stage."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.crew, self.signals, self.log = FakeClock(), Troupe(), Signals(), Log()
        self.courier, self.bell = Courier(), Bell(self.clock)
        self.greeted: list[Message] = []
        crew: Any = self.crew
        self.supervisor = Supervisor(
            WorkerSettings(**settings),
            crew,
            self.signals,
            self.clock,
            self.log,
            self._greet,
        )
        for number in range(WorkerSettings(**settings).procs):
            self.crew.start(number)

    def _greet(self, introduction: Message) -> Lines:
        self.greeted.append(introduction)
        courier: Any = self.courier
        bell: Any = self.bell
        return Lines(courier, bell)

    def step(self, most: float = 60.0) -> None:
        """One round. Where there is nothing to read, time goes on until something is due, or by `most` seconds."""
        if not readable([file for file, _ in self.supervisor._watched()], 0):
            wait = self.supervisor._until()
            assert wait > 0, "it does not wait, though it has nothing to do"
            self.clock.advance(min(wait, most))
        if self.supervisor._until() <= 0 or readable([file for file, _ in self.supervisor._watched()], 0):
            self.supervisor.step()

    def settle(self) -> None:
        """Rounds until there is nothing to read."""
        while readable([file for file, _ in self.supervisor._watched()], 0):
            self.supervisor.step()

    def pass_time(self, seconds: float) -> None:
        """Rounds for as long; heartbeats are answered."""
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 1e-9:
            self.step(left)
            self.beat()

    def beat(self, answer: Beat = QUIET) -> list[Call[Any]]:
        """Answer the heartbeats that are under way."""
        return [self.courier.answer("heartbeat", answer) for _ in range(self.courier.names().count("heartbeat"))]

    def open(self) -> list[Actor]:
        """All children are up, and what is asked then has been answered."""
        for actor in self.crew.born:
            actor.says(ready=INTRODUCTION)
        self.settle()
        self.courier.answer("promote", None)
        self.beat()
        assert not self.courier.busy
        return list(self.crew.born)

    @property
    def reaped(self) -> list[tuple[str, bytes]]:
        """The epochs whose jobs it asks back, and the ids of those that count a loss."""
        return [(call.args[0], call.args[4]) for call, _ in self.courier.posted if call.name == "reap"]

    @property
    def over(self) -> bool:
        return self.supervisor._over()

    @property
    def code(self) -> int | None:
        return self.supervisor._code

    def close(self) -> None:
        for actor in self.crew.born:
            actor.close()
        self.signals.close()
        self.bell.close()


@pytest.fixture
def stage() -> Iterator[Callable[..., Play]]:
    plays: list[Play] = []

    def play(**settings: Any) -> Play:
        plays.append(Play(**({"procs": 2} | settings)))
        return plays[-1]

    yield play
    for each in plays:
        each.close()


@pytest.fixture
def play(stage: Callable[..., Play]) -> Play:
    return stage()


# Coming up


def test_it_talks_to_redis_once_a_child_has_said_where_that_is(play: Play) -> None:
    play.step()
    assert play.greeted == []
    play.crew.born[1].says(ready=INTRODUCTION)
    play.settle()
    assert play.greeted == [INTRODUCTION]
    assert sorted(play.courier.names()) == ["heartbeat", "promote"]
    play.crew.born[0].says(ready=INTRODUCTION)
    play.settle()
    assert len(play.greeted) == 1


def test_it_says_once_that_all_are_up(play: Play) -> None:
    one, other = play.crew.born
    one.says(ready=INTRODUCTION)
    play.settle()
    assert play.log.told("ready") == []
    play.clock.advance(0.5)
    other.says(ready=INTRODUCTION)
    play.settle()
    (line,) = play.log.told("ready")
    assert line["note"].startswith("2/2 processes up in 500ms")
    one.process.kill()
    play.settle()
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    assert len(play.log.told("ready")) == 1


def test_an_app_that_cannot_be_imported_stops_everything_with_its_code(play: Play) -> None:
    for actor in play.crew.born:
        actor.says(error="cannot import 'taskz'", code=exit_codes.BAD_APP)
        actor.process.end(exit_codes.BAD_APP)
    play.settle()
    assert (play.over, play.code) == (True, exit_codes.BAD_APP)
    assert [line["error"] for line in play.log.told("cannot start")] == ["cannot import 'taskz'"]
    assert len(play.crew.born) == 2


def test_a_child_that_still_starts_is_not_waited_for_when_another_cannot(play: Play) -> None:
    first, second = play.crew.born
    first.says(error="cannot import 'taskz'", code=exit_codes.BAD_APP)
    first.process.end(exit_codes.BAD_APP)
    play.settle()
    assert second.process.code == -signal.SIGKILL
    assert (play.over, play.code) == (True, exit_codes.BAD_APP)


def test_an_app_that_breaks_while_the_worker_runs_stops_it_too_and_what_runs_may_end(play: Play) -> None:
    first, second = play.open()
    first.process.kill()
    play.settle()
    play.crew.born[-1].says(error="SyntaxError", code=exit_codes.BAD_APP)
    play.crew.born[-1].process.end(exit_codes.BAD_APP)
    play.settle()
    assert second.hears() == [{"stop": True}]
    second.process.end()
    play.settle()
    for _ in range(3):
        play.courier.answer("reap", Reaped(0, 0, 0))
    assert (play.over, play.code) == (True, exit_codes.BAD_APP)


def test_a_child_that_dies_before_it_said_that_it_is_ready_may_have_registered_and_is_reaped(play: Play) -> None:
    first, _ = play.open()
    first.process.kill()
    play.settle()
    play.crew.born[-1].process.kill()
    play.settle()
    assert play.reaped == [("w0", b""), ("w2", b"")]


def test_a_redis_that_is_not_there_at_first_stops_everything_with_its_code(play: Play) -> None:
    for actor in play.crew.born:
        actor.says(error="cannot reach Redis", code=exit_codes.UNREACHABLE)
        actor.process.end(exit_codes.UNREACHABLE)
    play.settle()
    assert (play.over, play.code) == (True, exit_codes.UNREACHABLE)


def test_a_child_that_dies_at_first_before_it_is_up_stops_everything(play: Play) -> None:
    play.crew.born[0].process.end(-signal.SIGSEGV)
    play.settle()
    assert (play.over, play.code) == (True, exit_codes.FAILED)
    assert play.log.told("process died") == [{"worker": "w0", "exit": "SIGSEGV", "running": 0}]
    assert len(play.crew.born) == 2


def test_children_keep_none_of_its_connections(play: Play) -> None:
    assert list(play.crew.private()) == []
    play.open()
    assert list(play.crew.private()) == [1001, 1002]


def test_a_child_that_hangs_as_it_starts_shows_its_stacks_is_killed_and_ends_the_worker(
    stage: Callable[..., Play],
) -> None:
    play = stage(boot_timeout=90.0)
    one, other = play.crew.born
    other.says(ready=INTRODUCTION)
    play.settle()
    play.supervisor._tend()
    play.pass_time(89.9)
    assert (one.dumps, one.process.code) == (0, None)
    play.pass_time(0.2)
    assert (one.dumps, one.process.code) == (1, None)
    play.pass_time(TO_SHOW)
    assert (one.dumps, one.process.code) == (1, -signal.SIGKILL)
    assert (other.dumps, other.process.code) == (0, None)
    (line,) = play.log.told("killed")
    assert line["worker"] == "w0"
    assert line["why"].startswith("it was not up after 1m30 (--boot-timeout): ")
    assert play.code == exit_codes.FAILED


def test_a_child_that_comes_up_as_it_shows_its_stacks_is_left_alone(stage: Callable[..., Play]) -> None:
    play = stage(procs=1, boot_timeout=5.0)
    (child,) = play.crew.born
    play.supervisor._tend()
    play.pass_time(5.0)
    assert child.dumps == 1
    child.says(ready=INTRODUCTION)
    play.settle()
    play.pass_time(100)
    assert child.process.code is None


def test_every_child_has_its_own_time_to_come_up(stage: Callable[..., Play]) -> None:
    play = stage(procs=1, boot_timeout=5.0)
    (child,) = play.open()
    play.pass_time(100)
    child.process.kill()
    play.settle()
    play.pass_time(4.9)
    (_, successor) = play.crew.born
    assert successor.dumps == 0
    play.pass_time(1.2)
    assert successor.process.code == -signal.SIGKILL
    play.settle()
    play.pass_time(1)
    assert len(play.crew.born) == 3  # and it is tried again
    assert play.code is None


def test_what_children_advise_of_a_task_is_told_once(play: Play) -> None:
    first, second = play.open()
    for actor, task in ((first, "shop.t"), (second, "shop.t"), (second, "shop.u")):
        actor.says(hint={"task": task, "why": "holds the GIL", "hint": 'pool="cpu"'})
        play.settle()
    assert [line["task"] for line in play.log.told("advice")] == ["shop.t", "shop.u"]
    assert play.log.told("advice")[0] == {"task": "shop.t", "why": "holds the GIL", "hint": 'pool="cpu"'}


# No room for another process


def refusals(play: Play, times: int) -> list[float]:
    """The seconds between this many refusals of the host, the first of which has been; then it has room again."""
    waits = []
    for _ in range(times):
        refused, since = play.crew.refused, play.clock.monotonic()
        while play.crew.refused == refused:
            play.step()
            play.beat()
        waits.append(play.clock.monotonic() - since)
    play.crew.full = False
    play.pass_time(10.1)
    return waits


def test_a_host_without_room_for_another_process_is_asked_ever_more_slowly_and_the_others_work_on(play: Play) -> None:
    first, second = play.open()
    play.crew.full = True
    first.process.kill()
    play.settle()
    assert refusals(play, 3) == pytest.approx([0.5, 1, 2])
    line = {"worker": "supervisor", "why": "[Errno 11] Resource temporarily unavailable", "again_in": "500ms"}
    assert play.log.told("cannot start a process")[0] == line
    assert len(play.log.told("cannot start a process")) == 4
    assert [child.berth.number for child in play.crew.children] == [1, 0]
    assert (play.code, second.process.code) == (None, None)


def test_a_child_that_retires_has_its_successor_when_there_is_room(play: Play) -> None:
    first, _ = play.open()
    play.crew.full = True
    first.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    first.process.end()
    play.settle()
    assert refusals(play, 1) == pytest.approx([0.5])
    assert [child.berth.number for child in play.crew.children] == [1, 0]


def test_a_job_that_must_run_alone_gets_its_child_when_there_is_room(play: Play) -> None:
    play.open()
    play.crew.full = True
    play.bell.ring("solo")
    play.settle()
    assert play.bell.listening is False, "the host is asked in its time, not at every job"
    assert refusals(play, 2) == pytest.approx([0.5, 1])
    assert (play.crew.born[-1].berth.solo, len(play.crew.born)) == (True, 3)
    assert play.bell.listening is True


def test_a_child_that_has_run_its_share_works_on_until_there_is_room(play: Play) -> None:
    first, _ = play.open()
    play.crew.full = True
    first.says(spent="it has run 500 jobs")
    play.settle()
    assert refusals(play, 2) == pytest.approx([0.5, 1])
    successor = play.crew.born[2]
    assert (successor.berth.number, first.hears()) == (0, [])
    successor.says(ready=INTRODUCTION)
    play.settle()
    assert first.hears() == [{"stop": True}]
    assert len(play.crew.born) == 3


def test_a_host_without_room_at_first_ends_the_worker_and_the_children_that_it_had_started(play: Play) -> None:
    play.crew.full = True
    assert play.supervisor.run() == exit_codes.FAILED
    (line,) = play.log.told("cannot start")
    assert line["error"] == "cannot start a process: [Errno 11] Resource temporarily unavailable"
    assert [actor.process.code for actor in play.crew.born] == [-signal.SIGKILL] * 2


# Children that die


def test_a_dead_child_is_replaced_at_once_and_its_jobs_asked_back(play: Play) -> None:
    first, second = play.open()
    first.board.begin(0, A)
    first.board.begin(2, B, 99.0)
    second.board.begin(0, C)
    first.process.end(-signal.SIGSEGV)
    play.settle()
    assert play.clock.monotonic() == 0.0
    assert play.reaped == [("w0", A + B)]
    assert play.courier.answer("reap", Reaped(0, 2, 0)).args[2] == LOST
    successor = play.crew.born[-1]
    assert (successor.berth.number, successor.berth.epoch, successor.berth.solo) == (0, "w2", False)
    assert play.crew.children == [second, successor]
    assert play.log.told("process died") == [{"worker": "w0", "exit": "SIGSEGV", "running": 2}]
    assert play.log.told("jobs given back") == [{"worker": "w0", "jobs": 2, "dead": 0}]


def test_a_child_that_held_nothing_is_reaped_all_the_same(play: Play) -> None:
    play.open()[1].process.end(1)
    play.settle()
    assert play.reaped == [("w1", b"")]
    play.courier.answer("reap", Reaped(0, 0, 0))
    assert play.log.told("jobs given back") == []
    assert play.log.told("process died")[0]["exit"] == "exit code 1"


def test_much_is_asked_back_in_several_calls(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    first.process.kill()
    play.settle()
    for left in (150, 50):
        play.courier.answer("reap", Reaped(left, 100, 0))
        assert play.reaped == [("w0", A)]
    play.courier.answer("reap", Reaped(0, 50, 0))
    assert play.reaped == []


def test_a_child_is_reaped_even_though_it_died_before_its_word_was_read(play: Play) -> None:
    first, second = play.crew.born
    for actor in (first, second):
        actor.says(ready=INTRODUCTION)
    first.process.kill()
    play.settle()
    assert play.reaped == [("w0", b"")]
    assert len(play.crew.children) == 2


def test_children_that_die_as_they_start_are_started_ever_more_slowly(play: Play) -> None:
    play.open()[0].process.kill()
    play.settle()
    waits = []
    for _ in range(7):
        play.crew.born[-1].process.end(1)
        play.settle()
        born, died = len(play.crew.born), play.clock.monotonic()
        while len(play.crew.born) == born:
            play.step()
            play.beat()
        waits.append(play.clock.monotonic() - died)
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 10, 10])
    assert play.code is None
    assert [child.berth.number for child in play.crew.children] == [1, 0]


def test_a_child_that_comes_up_ends_the_waiting(play: Play) -> None:
    play.open()[0].process.kill()
    play.settle()
    for _ in range(3):
        play.crew.born[-1].process.end(1)
        play.settle()
        play.pass_time(5.0)
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    play.crew.born[-1].process.kill()
    play.settle()
    play.crew.born[-1].process.end(1)
    play.settle()
    born = len(play.crew.born)
    play.pass_time(0.49)
    assert len(play.crew.born) == born
    play.pass_time(0.02)
    assert len(play.crew.born) == born + 1


def die_ready(play: Play, lived: float = 4.9) -> float:
    """The last child comes up and dies: how long it takes until it is replaced."""
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    play.pass_time(lived)
    play.crew.born[-1].process.kill()
    born, died = len(play.crew.born), play.clock.monotonic()
    play.settle()
    while len(play.crew.born) == born:
        play.step()
        play.beat()
    return play.clock.monotonic() - died


def test_children_that_die_young_are_replaced_ever_more_slowly_from_the_sixth_in_a_row(play: Play) -> None:
    play.open()
    assert [die_ready(play) for _ in range(8)] == pytest.approx([0, 0, 0, 0, 0, 0.5, 1, 2])
    assert die_ready(play, 5.1) == 0, "this one did its work for a while"
    assert [die_ready(play) for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.5])


def test_a_redis_that_goes_away_later_only_slows_the_restart(play: Play) -> None:
    play.open()[0].process.kill()
    play.settle()
    play.crew.born[-1].says(error="cannot reach Redis", code=exit_codes.UNREACHABLE)
    play.crew.born[-1].process.end(exit_codes.UNREACHABLE)
    play.settle()
    play.pass_time(0.6)
    assert play.code is None
    assert len(play.crew.children) == 2


def test_a_child_that_closed_its_channel_but_lives_is_not_looked_at_all_the_time(play: Play) -> None:
    first, _ = play.open()
    first.theirs.close()
    play.settle()
    play.pass_time(10.0)
    assert first in play.crew.children


# Heartbeats


def test_one_heartbeat_for_all_children_that_are_up_says_what_they_run(play: Play) -> None:
    first, second = play.open()
    first.board.begin(1, A)
    second.board.begin(0, B)
    second.board.begin(3, C)
    play.crew.start(2)
    play.step()
    assert play.clock.monotonic() == 3.0
    (call,) = play.beat()
    assert call.args == (15_000, 9_000, "w0", A, "w1", B + C)


def test_there_are_five_heartbeats_in_a_lease(stage: Callable[..., Play]) -> None:
    play = stage(lease=5.0)
    play.open()
    beats = 0
    while play.clock.monotonic() < 4.99:
        play.step()
        beats += len(play.beat())
    assert beats == 5


def test_heartbeats_do_not_pile_up_while_redis_is_away(play: Play) -> None:
    play.open()
    for _ in range(20):
        play.step()
    assert play.courier.names() == ["heartbeat"]
    play.beat()
    play.step()
    assert play.courier.names() == ["heartbeat"]


def test_a_child_that_was_declared_dead_is_killed_and_replaced(play: Play) -> None:
    first, second = play.open()
    first.board.begin(0, A)
    play.step()
    play.beat(Beat(lost=("w0",), victim=None, next_due=None))
    assert (first.process.code, second.process.code) == (-signal.SIGKILL, None)
    play.settle()
    assert play.reaped == [("w0", b"")], "who declared it dead has counted the losses"
    assert [child.berth.epoch for child in play.crew.children] == ["w1", "w2"]


def test_the_jobs_of_a_host_whose_lease_ran_out_are_asked_back(play: Play) -> None:
    play.open()
    play.step()
    play.beat(Beat(lost=(), victim="other-7", next_due=None))
    assert play.reaped == [("other-7", b"*")]
    play.courier.answer("reap", Reaped(3, 100, 0))
    assert play.reaped == [("other-7", b"*")]
    play.courier.answer("reap", Reaped(0, 3, 0))
    assert not play.courier.busy


def test_a_job_that_holds_the_gil_is_ended_by_a_kill_and_only_it_is_blamed(play: Play) -> None:
    first, second = play.open()
    deadline = 7.0
    first.board.begin(0, A, deadline)
    first.board.begin(1, B, 1000.0)
    first.board.begin(2, C)
    play.pass_time(deadline + GIL_GRACE - 0.1)
    assert first.process.code is None
    play.pass_time(3.2)
    play.settle()
    assert (first.process.code, second.process.code) == (-signal.SIGKILL, None)
    assert play.reaped == [("w0", A)]
    assert play.courier.answer("reap", Reaped(0, 0, 0)).args[3] == 1, "it is certain which job did it"
    assert len(play.crew.children) == 2
    assert play.log.told("killed")[0]["why"] == "a job holds the GIL beyond its hard time limit"


def test_a_host_that_stood_still_gives_a_child_time_to_look_at_its_limits_itself(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A, 7.0)
    play.clock.advance(60.0)
    play.supervisor.step()
    play.beat()
    assert first.process.code is None
    play.pass_time(3.1)
    assert first.process.code == -signal.SIGKILL, "it did not look"


def test_a_child_that_is_stopped_has_time_to_look_at_its_limits_when_it_goes_on(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A, 0.5)
    first.process.stopped = True
    play.pass_time(7.0)
    first.process.stopped = False
    play.pass_time(3.0)
    assert first.process.code is None
    play.pass_time(3.0)
    assert first.process.code == -signal.SIGKILL, "it did not look"


def test_a_child_that_is_stopped_for_longer_than_a_lease_is_killed_and_nobody_is_blamed(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    first.process.stopped = True
    play.pass_time(3.0 + 15.0)
    assert first.process.code is None
    play.pass_time(3.1)
    play.settle()
    assert first.process.code == -signal.SIGKILL
    assert play.reaped == [("w0", b"")]
    assert len(play.crew.children) == 2


def test_a_child_that_has_closed_its_channel_and_lives_on_for_a_lease_is_killed_and_its_jobs_are_blamed(
    play: Play,
) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    first.theirs.close()
    play.settle()
    play.pass_time(3.0 + 15.0)
    assert first.process.code is None
    play.pass_time(3.1)
    play.settle()
    assert first.process.code == -signal.SIGKILL
    assert play.reaped == [("w0", A)]


def test_a_job_that_has_ended_is_blamed_for_the_death_of_its_process_like_one_that_runs(play: Play) -> None:
    """`reap` counts a loss only where the process still holds the job: there its outcome has not been written."""
    first, _ = play.open()
    first.board.begin(0, A)
    first.board.end(0)
    first.board.begin(1, B)
    first.process.end(1)
    play.settle()
    assert play.reaped == [("w0", A + B)]
    assert ("process died", {"worker": "w0", "exit": "exit code 1", "running": 1}) in play.log.lines


def test_a_child_that_goes_on_in_time_is_left_alone(play: Play) -> None:
    first, _ = play.open()
    for _ in range(4):
        first.process.stopped = True
        play.pass_time(12.0)
        first.process.stopped = False
        play.pass_time(6.0)
    assert first.process.code is None


def test_a_child_whose_event_loop_hangs_is_killed_replaced_and_nobody_is_blamed(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    first.says(hung="tasks.f")
    play.settle()
    assert first.process.code == -signal.SIGKILL
    assert play.reaped == [("w0", b"")]
    assert len(play.crew.children) == 2


# Delayed jobs


def test_delayed_jobs_are_put_in_line_when_they_are_due(play: Play) -> None:
    play.open()
    play.bell.ring("timer")
    play.settle()
    play.courier.answer("promote", 1.25)
    start = play.clock.monotonic()
    while "promote" not in play.courier.names():
        play.step()
        play.beat()
    assert play.clock.monotonic() - start == pytest.approx(1.25)


def test_a_heartbeat_tells_when_a_delayed_job_is_due_as_well(play: Play) -> None:
    play.open()
    play.step()
    play.beat(Beat(lost=(), victim=None, next_due=0.5))
    play.step()
    assert play.clock.monotonic() == pytest.approx(3.5)
    assert play.courier.names() == ["promote"]


def test_a_bell_that_rings_while_jobs_are_being_put_in_line_is_not_missed(play: Play) -> None:
    play.open()
    play.bell.ring("timer")
    play.settle()
    play.bell.ring("timer")
    play.settle()
    play.courier.answer("promote", None)
    assert play.courier.names() == ["promote"]


def test_it_listens_again_after_every_bell(play: Play) -> None:
    play.open()
    for _ in range(3):
        assert play.bell.listening is True
        play.bell.ring("")
        play.settle()


# Jobs that must run alone


def test_a_job_that_must_run_alone_gets_a_child_of_its_own(play: Play) -> None:
    play.open()
    play.bell.ring("solo")
    play.settle()
    solo = play.crew.born[-1]
    assert (solo.berth.solo, solo.berth.number) == (True, 2)
    solo.says(ready=INTRODUCTION)
    play.settle()
    (call,) = play.beat()
    assert call.args[2::2] == ("w0", "w1", "w2")


def test_there_are_no_more_solo_children_than_others(play: Play) -> None:
    play.open()
    for expected in (True, False):
        play.bell.ring("solo")
        play.settle()
        assert play.bell.listening is expected


def test_a_solo_child_that_ends_is_not_replaced_but_its_bell_is_listened_to_again(play: Play) -> None:
    play.open()
    for _ in range(2):
        play.bell.ring("solo")
        play.settle()
    solo = play.crew.born[-1]
    solo.says(ready=INTRODUCTION)
    solo.process.kill()
    play.settle()
    assert play.reaped == [("w3", b"")]
    assert len(play.crew.children) == 3
    assert play.bell.listening is True
    assert play.log.told("process died") == []


# Retiring


def test_a_child_that_retires_has_a_successor_at_once_and_is_reaped_when_it_ends(play: Play) -> None:
    first, second = play.open()
    first.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    successor = play.crew.born[-1]
    assert play.crew.children == [first, second, successor]
    assert successor.berth.number == 0
    first.process.end()
    play.settle()
    assert play.crew.children == [second, successor]
    assert play.reaped == [("w0", b"")]
    assert play.log.told("process died") == []


def test_a_solo_child_that_retires_has_no_successor(play: Play) -> None:
    play.open()
    play.bell.ring("solo")
    play.settle()
    play.crew.born[-1].says(retiring="tasks.f did not stop")
    play.settle()
    assert len(play.crew.born) == 3


# Recycling

MB = 1 << 20


def successor_of(play: Play, old: Actor, why: str = "it has run 500 jobs") -> Actor:
    """The child that is started because `old` has run its share."""
    old.says(spent=why)
    play.settle()
    successor = play.crew.born[-1]
    assert (successor.berth.number, successor.berth.solo) == (old.berth.number, False)
    return successor


def grow(play: Play, actor: Actor, size: int) -> int:
    """How many children are started when `actor` has this size at the next heartbeat."""
    actor.process.size = size  # type: ignore[attr-defined]
    born = len(play.crew.born)
    play.pass_time(3.1)
    return len(play.crew.born) - born


def test_a_child_that_has_run_its_share_works_on_until_its_successor_is_up(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    assert play.log.told("recycling") == [{"worker": "w0", "successor": "w2", "why": "it has run 500 jobs"}]
    assert first.hears() == []
    successor.says(ready=INTRODUCTION)
    play.settle()
    assert first.hears() == [{"stop": True}]
    play.pass_time(3600)
    assert first.process.code is None, "a job may take its time"
    assert second.hears() == []
    play.clock.advance(1.0)
    first.process.end()
    play.settle()
    assert play.crew.children == [second, successor]
    assert play.reaped == [("w0", b"")]
    assert [line["worker"] for line in play.log.told("recycled")] == ["w0"]
    assert play.log.told("process died") == []


def test_leases_of_both_are_held_while_the_old_child_finishes(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    successor_of(play, first).says(ready=INTRODUCTION)
    play.settle()
    (call,) = play.beat()
    assert call.args[2:] == ("w0", A, "w1", b"", "w2", b"")


def test_one_child_at_a_time_is_recycled(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    second.says(spent="it has run 500 jobs")
    second.says(spent="it has run 500 jobs")
    play.settle()
    successor.says(ready=INTRODUCTION)
    play.settle()
    assert len(play.crew.born) == 3, "the old one is not gone"
    first.process.end()
    play.settle()
    assert len(play.crew.born) == 4
    assert play.crew.born[-1].berth.number == 1
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    assert second.hears() == [{"stop": True}]
    second.process.end()
    play.settle()
    assert len(play.crew.born) == 4


def test_while_the_successor_does_not_come_up_the_old_child_works_and_it_is_tried_again_ever_later(play: Play) -> None:
    first, second = play.open()
    successor_of(play, first)
    waits = []
    for _ in range(6):
        play.crew.born[-1].says(error="SyntaxError", code=exit_codes.BAD_APP)
        play.crew.born[-1].process.end(exit_codes.BAD_APP)
        play.settle()
        born, died = len(play.crew.born), play.clock.monotonic()
        while len(play.crew.born) == born:
            play.step()
            play.beat()
        waits.append(play.clock.monotonic() - died)
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 10])
    assert play.code is None
    assert first.hears() == second.hears() == []
    assert len(play.log.told("cannot start")) == 6
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    assert first.hears() == [{"stop": True}]


def test_a_successor_that_hangs_as_it_starts_is_killed_and_another_is_tried(stage: Callable[..., Play]) -> None:
    play = stage(procs=1, boot_timeout=5.0)
    (old,) = play.open()
    old.says(spent="it has run 5 jobs")
    play.settle()
    play.pass_time(5.0 + TO_SHOW + 0.1)
    assert play.crew.born[1].process.code == -signal.SIGKILL
    assert (old.ready, old.leaving) == (True, False)
    play.pass_time(1)
    assert len(play.crew.born) == 3
    play.crew.born[2].says(ready=INTRODUCTION)
    play.settle()
    assert old.hears() == [{"stop": True}]


def test_an_old_child_that_dies_while_its_successor_starts_has_no_other(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    first.board.begin(0, A)
    first.process.kill()
    play.settle()
    assert play.reaped == [("w0", A)]
    assert play.crew.children == [second, successor]
    successor.says(ready=INTRODUCTION)
    play.settle()
    assert successor_of(play, second) is play.crew.born[3]


def test_an_old_child_that_dies_of_a_job_before_it_can_be_told_to_stop_counts_the_loss(play: Play) -> None:
    first, _ = play.open()
    successor = successor_of(play, first)
    first.board.begin(0, A)
    first.theirs.close()
    first.process.end(-signal.SIGSEGV)
    play.crew.children.sort(key=lambda child: child is not successor)  # it is heard first
    successor.says(ready=INTRODUCTION)
    play.settle()
    assert play.reaped == [("w0", A)]
    assert [line["exit"] for line in play.log.told("process died")] == ["SIGSEGV"]


def test_a_successor_whose_old_child_is_gone_is_started_again_when_it_dies(play: Play) -> None:
    first, _ = play.open()
    successor = successor_of(play, first)
    first.process.kill()
    play.settle()
    successor.process.end(1)
    play.settle()
    play.pass_time(0.6)
    assert len(play.crew.born) == 4
    assert play.crew.born[-1].berth.number == 0


def test_a_successor_that_dies_once_it_is_up_is_replaced_like_any_child(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    successor.says(ready=INTRODUCTION)
    play.settle()
    successor.process.kill()
    play.settle()
    assert [child.berth.number for child in play.crew.children] == [0, 1, 0]
    assert play.crew.children[:2] == [first, second]


def test_a_child_that_retires_while_its_successor_starts_has_no_other(play: Play) -> None:
    first, _ = play.open()
    successor = successor_of(play, first)
    first.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    assert play.crew.born[-1] is successor
    for actor in (successor, first):
        actor.process.end()
        play.settle()
    play.pass_time(0.6)
    assert len(play.crew.born) == 4, "nobody else works in its place"


def test_a_child_that_retires_while_it_finishes_has_no_second_successor(play: Play) -> None:
    first, _ = play.open()
    successor_of(play, first).says(ready=INTRODUCTION)
    play.settle()
    first.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    assert len(play.crew.born) == 3


def test_a_child_that_retires_before_its_turn_is_replaced_once(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    second.says(spent="it has run 500 jobs")
    second.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    assert [child.berth.number for child in play.crew.children] == [0, 1, 0, 1]
    play.crew.born[-1].says(ready=INTRODUCTION)
    successor.says(ready=INTRODUCTION)
    play.settle()
    first.process.end()
    play.settle()
    play.pass_time(10.0)
    assert len(play.crew.born) == 4


def test_an_old_child_that_dies_as_it_finishes_is_told_with_what_it_ran(play: Play) -> None:
    first, _ = play.open()
    successor_of(play, first).says(ready=INTRODUCTION)
    first.board.begin(0, A)
    play.settle()
    first.process.end(-signal.SIGSEGV)
    play.settle()
    assert play.log.told("process died") == [{"worker": "w0", "exit": "SIGSEGV", "running": 1}]
    assert play.reaped == [("w0", A)]
    assert len(play.crew.children) == 2


def test_a_child_that_dies_before_its_turn_is_replaced_once(play: Play) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    second.says(spent="it has run 500 jobs")
    play.settle()
    second.process.kill()
    play.settle()
    assert [child.berth.number for child in play.crew.children] == [0, 0, 1]
    play.crew.born[-1].says(ready=INTRODUCTION)
    successor.says(ready=INTRODUCTION)
    play.settle()
    first.process.end()
    play.settle()
    assert len(play.crew.born) == 4


def test_a_solo_child_is_not_recycled(stage: Callable[..., Play]) -> None:
    play = stage(max_rss=100 * MB)
    play.open()
    play.bell.ring("solo")
    play.settle()
    solo = play.crew.born[-1]
    solo.says(ready=INTRODUCTION)
    solo.says(spent="it has run 500 jobs")
    play.settle()
    assert grow(play, solo, 200 * MB) == 0
    assert len(play.crew.born) == 3


@pytest.mark.parametrize("up", [False, True])
def test_a_stop_while_a_child_is_recycled_stops_all(play: Play, up: bool) -> None:
    first, second = play.open()
    successor = successor_of(play, first)
    second.says(spent="it has run 500 jobs")
    if up:
        successor.says(ready=INTRODUCTION)
    play.settle()
    first.hears()
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    assert first.hears() == second.hears() == [{"stop": True}]
    assert successor.process.code == (None if up else -signal.SIGKILL)
    for actor in (first, second, successor):
        actor.process.end()
    play.settle()
    assert (play.crew.children, len(play.crew.born), play.code) == ([], 3, exit_codes.OK)


def test_a_worker_that_finishes_does_not_run_round_for_a_child_that_was_to_be_recycled(play: Play) -> None:
    first, second = play.open()
    successor_of(play, first)
    second.says(spent="it has run 500 jobs")
    play.settle()
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    first.process.end()
    play.settle()
    play.pass_time(10.0)
    assert len(play.crew.born) == 3


def test_a_child_that_has_grown_too_large_is_recycled(stage: Callable[..., Play]) -> None:
    play = stage(max_rss=100 * MB)
    first, _ = play.open()
    assert grow(play, first, 100 * MB - 1) == 0
    assert grow(play, first, 160 * MB) == 1
    assert play.log.told("recycling")[0]["why"] == "it takes 160M of memory, --max-rss is 100M"
    assert grow(play, first, 165 * MB) == 0
    assert first.hears() == []
    play.crew.born[-1].says(ready=INTRODUCTION)
    play.settle()
    assert first.hears() == [{"stop": True}]
    assert grow(play, first, 170 * MB) == 0
    assert play.log.told("not recycled") == []


def test_without_a_limit_nobody_looks_how_large_children_are(play: Play) -> None:
    first, _ = play.open()
    assert grow(play, first, 1 << 50) == 0


def test_a_child_whose_size_is_not_known_is_left_alone(stage: Callable[..., Play]) -> None:
    play = stage(max_rss=100 * MB)
    first, _ = play.open()
    first.process.size = None  # type: ignore[attr-defined]
    play.pass_time(3.1)
    assert len(play.crew.born) == 2


def test_a_child_that_is_too_large_as_soon_as_it_is_up_is_left_alone_and_told_once(stage: Callable[..., Play]) -> None:
    play = stage(max_rss=50 * MB)
    play.open()
    play.pass_time(120.0)
    assert len(play.crew.born) == 2
    (line,) = play.log.told("not recycled")
    assert line["why"] == "it takes 50M of memory, as much as --max-rss, as soon as its app is loaded"
    assert line["hint"].startswith("recycling does not help: raise --max-rss")


def test_a_place_is_recycled_for_its_size_once_a_minute_and_that_is_told_once(stage: Callable[..., Play]) -> None:
    play = stage(max_rss=100 * MB)
    began, births = play.open()[0], []
    old = began
    while play.clock.monotonic() < 200.0:
        if grow(play, old, 160 * MB):
            births.append(play.clock.monotonic())
            successor = play.crew.born[-1]
            successor.says(ready=INTRODUCTION)
            play.settle()
            old.process.end()
            play.settle()
            play.courier.answer("reap", Reaped(0, 0, 0))
            old = successor
    assert 3 <= len(births) <= 4
    assert min(later - earlier for earlier, later in pairwise(births)) >= 60.0
    (line,) = play.log.told("not recycled")
    assert line["why"] == "it takes 160M of memory, though it replaced one that did, within 60 s"


# The end


def test_the_first_signal_lets_what_runs_end(play: Play) -> None:
    first, second = play.open()
    first.board.begin(0, A)
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    assert (first.hears(), second.hears()) == ([{"stop": True}], [{"stop": True}])
    assert play.log.told("stopping")[0]["running"] == 1
    second.process.end()
    play.settle()
    assert not play.over
    first.board.end(0)
    first.process.end()
    play.settle()
    assert len(play.crew.born) == 2
    play.courier.answer("reap", Reaped(0, 0, 0))
    play.courier.answer("reap", Reaped(0, 0, 0))
    assert (play.over, play.code) == (True, exit_codes.OK)


def test_a_child_that_is_not_up_yet_has_nothing_to_finish(play: Play) -> None:
    play.crew.born[0].says(ready=INTRODUCTION)
    play.settle()
    play.signals.arrive(signal.SIGINT)
    play.settle()
    assert play.crew.born[1].process.code == -signal.SIGKILL
    assert play.crew.born[0].hears() == [{"stop": True}]


def test_leases_are_held_until_the_last_child_has_ended(play: Play) -> None:
    first, _ = play.open()
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    first.process.end()
    play.settle()
    play.courier.answer("reap", Reaped(0, 0, 0))
    for beats in (3.0, 6.0, 9.0):
        while not (call := play.beat()):
            play.step()
        assert call[0].args[2::2] == ("w1",)
        assert play.clock.monotonic() == pytest.approx(beats)


def test_waiting_for_the_end_is_waiting(play: Play) -> None:
    play.open()
    play.signals.arrive(signal.SIGTERM)
    play.bell.ring("timer")
    play.settle()
    rounds = 0
    while play.clock.monotonic() < 20.0:
        play.step()
        play.beat()
        rounds += 1
    assert rounds < 30


def test_when_the_grace_is_over_what_runs_is_given_back(stage: Callable[..., Play]) -> None:
    play = stage(grace=10.0)
    first, second = play.open()
    first.board.begin(0, A)
    second.board.begin(1, B)
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    play.pass_time(9.9)
    assert first.process.code is None
    play.pass_time(0.2)
    play.settle()
    assert first.process.code == second.process.code == -signal.SIGKILL
    assert play.reaped == [("w0", b""), ("w1", b"")], "they are not to blame"
    assert play.code == exit_codes.GAVE_BACK
    assert play.crew.children == []


def test_the_second_signal_gives_back_at_once(play: Play) -> None:
    _, second = play.open()
    second.board.begin(1, B)
    play.signals.arrive(signal.SIGINT)
    play.settle()
    play.signals.arrive(signal.SIGINT)
    play.settle()
    assert play.clock.monotonic() == 0.0
    assert play.reaped == [("w0", b""), ("w1", b"")]
    assert (play.crew.children, play.code) == ([], exit_codes.GAVE_BACK)


def test_two_signals_at_once_are_two(play: Play) -> None:
    play.open()
    play.signals.arrive(signal.SIGTERM, signal.SIGTERM)
    play.settle()
    assert play.crew.children == []


def test_giving_up_when_nothing_runs_is_no_failure(play: Play) -> None:
    play.open()
    play.signals.arrive(signal.SIGTERM, signal.SIGTERM)
    play.settle()
    assert play.code == exit_codes.OK


def test_a_child_that_dies_while_all_stop_is_not_replaced(play: Play) -> None:
    first, _ = play.open()
    first.board.begin(0, A)
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    first.process.end(-signal.SIGSEGV)
    play.settle()
    assert play.reaped == [("w0", A)]
    assert len(play.crew.born) == 2


def test_a_child_that_retires_while_all_stop_has_no_successor(play: Play) -> None:
    first, _ = play.open()
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    first.says(retiring="tasks.f did not stop at its time limit")
    play.settle()
    assert len(play.crew.born) == 2


def test_a_restart_that_was_due_later_does_not_happen_any_more(play: Play) -> None:
    play.open()[0].process.kill()
    play.settle()
    play.crew.born[-1].process.end(1)
    play.settle()
    play.signals.arrive(signal.SIGTERM)
    play.settle()
    play.pass_time(20.0)
    assert len(play.crew.born) == 3


def test_the_last_calls_get_a_few_seconds(play: Play) -> None:
    play.open()
    play.signals.arrive(signal.SIGTERM, signal.SIGTERM)
    play.settle()
    assert (play.crew.children, play.over) == ([], False)
    while not play.over:
        play.step()
    assert play.courier.busy
    assert play.clock.monotonic() == pytest.approx(LAST_WORDS)


def test_a_stopping_worker_starts_no_solo_child(play: Play) -> None:
    play.open()
    play.signals.arrive(signal.SIGTERM)
    play.bell.ring("solo")
    play.settle()
    assert len(play.crew.born) == 2


def test_quit_shows_the_stacks_and_changes_nothing(play: Play) -> None:
    actors = play.open()
    play.signals.arrive(signal.SIGQUIT, signal.SIGCHLD)
    play.settle()
    assert [actor.dumps for actor in actors] == [1, 1]
    assert (play.code, play.crew.children) == (None, actors)


def test_the_last_line_says_what_all_children_came_to(play: Play) -> None:
    def come_up(number: int, solo: bool = False) -> Child:
        actor = start(number, solo)
        assert isinstance(actor, Actor)
        actor.says(ready=INTRODUCTION)
        actor.board.count(Tally(ok=10, dead=1, dropped=3))
        if len(play.crew.born) == 4:
            play.signals.arrive(signal.SIGTERM, signal.SIGTERM)
        return actor

    start, play.crew.start = play.crew.start, come_up
    answers = {"promote": None, "heartbeat": QUIET, "reap": Reaped(0, 2, 1)}
    play.courier.post = lambda call, then: then(answers[call.name])
    for actor in play.crew.born:
        actor.close()
    play.crew.children.clear()
    assert play.supervisor.run() == exit_codes.OK
    assert play.log.lines[-1] == ("stopped", {"ok": 20, "dead": 4, "given_back": 4, "dropped": 6})


# A burst


def test_a_burst_ends_when_nothing_is_ready_or_held(stage: Callable[..., Play]) -> None:
    play = stage(burst=True, queues=("mail", "default"))
    first, second = play.crew.born
    first.says(ready=INTRODUCTION)
    play.settle()
    assert "pending" not in play.courier.names()
    second.says(ready=INTRODUCTION)
    play.settle()
    assert play.courier.answer("pending", PENDING).args == ("mail", "default")
    for _ in range(3):
        while "pending" not in play.courier.names():
            play.step()
            play.beat()
        play.courier.answer("pending", PENDING)
    assert play.clock.monotonic() == pytest.approx(0.15)
    play.step()
    play.courier.answer("pending", not PENDING)
    assert play.code == exit_codes.OK
    assert (first.hears(), second.hears()) == ([{"stop": True}], [{"stop": True}])


def test_a_burst_asks_one_question_at_a_time(stage: Callable[..., Play]) -> None:
    play = stage(burst=True)
    for actor in play.crew.born:
        actor.says(ready=INTRODUCTION)
    play.settle()
    for _ in range(10):
        play.step()
    assert play.courier.names().count("pending") == 1


def test_without_burst_nobody_asks_whether_it_is_over(play: Play) -> None:
    play.open()
    for _ in range(5):
        play.step()
    assert "pending" not in play.courier.names()


def test_the_answer_of_a_burst_that_was_stopped_already_changes_nothing(stage: Callable[..., Play]) -> None:
    play = stage(burst=True)
    for actor in play.crew.born:
        actor.says(ready=INTRODUCTION)
    play.settle()
    play.crew.born[0].board.begin(0, A)
    play.signals.arrive(signal.SIGTERM, signal.SIGTERM)
    play.settle()
    play.courier.answer("pending", not PENDING)
    assert play.code == exit_codes.GAVE_BACK
