"""Children, from the supervisor's side: each a forked process, a channel to talk on, and a board to look at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import count

from taskq_workers.board import Board
from taskq_workers.channel import Channel, Message
from taskq_workers.process import Process, fork

Life = Callable[["Berth", Board, Channel], int]
"""What a child does with its life; the answer is its exit code."""


@dataclass(frozen=True, slots=True)
class Berth:
    """A child's place in the crew. An epoch is never used twice."""

    number: int
    solo: bool
    epoch: str


@dataclass(slots=True, eq=False)
class Child:
    """One child.

    `blamed`: the ids that are counted a loss when it dies; None for all that it had started, and not written.
    `size_at_start`: bytes of memory that it took when it was ready; 0 where nobody asks.
    """

    berth: Berth
    process: Process
    channel: Channel
    board: Board
    ready: bool = False
    ready_since: float = 0.0
    leaving: bool = False
    mute: bool = False
    mute_since: float | None = None
    stopped_since: float | None = None
    size_at_start: int = 0
    blamed: bytes | None = None

    def hear(self) -> list[Message]:
        messages = self.channel.receive()
        self.mute = messages is None
        return messages or []

    def stop(self) -> None:
        """Ask it to finish what runs, give back the rest, and end; one that is not ready yet has nothing to finish.

        One that cannot be asked has died of its jobs, or they made another program of it.
        """
        self.leaving = True
        if not self.ready:
            self.kill(b"")
        elif not self.channel.send({"stop": True}):
            self.process.kill()

    def kill(self, blamed: bytes) -> None:
        """SIGKILL. Only the jobs in `blamed` count a loss for it."""
        self.blamed = blamed
        self.process.kill()

    def dump(self) -> None:
        """Have it write the stacks of its threads to stderr."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGQUIT)

    def losses(self) -> bytes:
        return self.board.last() if self.blamed is None else self.blamed

    def bury(self) -> int:
        """It has ended: free what it had. The answer is its exit code."""
        code = self.process.wait()
        self.channel.close()
        return code


@dataclass(slots=True)
class Crew:
    """Starts children that live `life`, with `rows` on their boards, and names them after `name`.

    `private`: the numbers of open files that no child may keep.
    """

    name: str
    rows: Callable[[bool], int]
    life: Life
    private: Callable[[], Iterable[int]] = tuple
    children: list[Child] = field(default_factory=list)
    _births: count[int] = field(default_factory=count)

    def start(self, number: int, solo: bool = False) -> Child:
        """Fork one more child. Raises OSError where the host has no room for it."""
        berth = Berth(number, solo, f"{self.name}-{next(self._births)}")
        with ExitStack() as undo:
            board = undo.enter_context(closing(Board(self.rows(solo))))
            ours, theirs = Channel.pair()
            undo.enter_context(closing(ours))
            with closing(theirs):
                process = fork(lambda: self._live(berth, board, theirs, ours))
            undo.pop_all()
        child = Child(berth, process, ours, board)
        self.children.append(child)
        return child

    def _live(self, berth: Berth, board: Board, channel: Channel, parents_end: Channel) -> int:
        """In the child: let go of the supervisor's ends, or nobody would see an end of file when it dies."""
        for end in [parents_end, *(child.channel for child in self.children)]:
            end.close()
        self.children.clear()
        self._let_go()
        return self.life(berth, board, channel)

    def _let_go(self) -> None:
        """In the child: end the connections of the supervisor here, or closing them there would not end them.

        Their numbers stay taken: whatever object closes them later must not close a file of somebody else.
        """
        null = os.open(os.devnull, os.O_RDWR)
        for number in self.private():
            os.dup2(null, number, inheritable=False)
        os.close(null)
