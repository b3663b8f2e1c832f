"""What all lanes of a process share: how a job begins and ends, and what its limits do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from taskq.broker.keys import member_id
from taskq.lifecycle import Failed, Outcome
from taskq_workers.board import Board
from taskq_workers.limits import Ticket, Watch
from taskq_workers.meter import Meter
from taskq_workers.outcomes import Outcomes
from taskq_workers.runner import Run, Runner, describe


@dataclass(frozen=True, slots=True)
class Shop:
    """What the lanes of a process share. `retire` is told why, when a thread had to be abandoned."""

    runner: Runner
    board: Board
    outcomes: Outcomes
    watch: Watch
    retire: Callable[[str], None]
    meter: Meter = field(default_factory=Meter)

    def begin(self, run: Run, row: int, hard_deadline: float = 0.0) -> None:
        self.board.begin(row, member_id(run.member), hard_deadline)
        self.meter.begin(row, run.envelope.task, run.declaration, run.lane)

    def end(self, run: Run, row: int, outcome: Outcome) -> None:
        self.meter.end(row)
        self._settle(run, row, outcome)

    def _settle(self, run: Run, row: int, outcome: Outcome) -> None:
        settled = self.runner.settle(run, outcome)
        told, run.told = run.told, None
        settled.heard = told is not None
        self.outcomes.put(settled)
        self.board.end(row)
        if told is not None:
            told(settled)

    def fail(self, run: Run, row: int, error: BaseException) -> None:
        """A job for which another one waits could not be run, or ended, for `error`."""
        if run.told is None:  # its outcome is known
            raise error
        if run.ticket is not None:
            self.watch.release(run.ticket)
        if run.ticket is None or run.ticket.take("job"):
            self.end(run, row, Failed(describe(error)))

    def limit(self, run: Run, row: int, ticket: Ticket, interrupt: Callable[[], object]) -> None:
        """Begin a job whose task has a timeout."""
        run.ticket, abandon = ticket, partial(self._abandon, run, row)
        self.begin(run, row, self.watch.guard(ticket, run.timeout or 0.0, ticket, interrupt, abandon))

    def _abandon(self, run: Run, row: int) -> None:
        """Its thread is lost, also to the jobs below it. Each of them has a ticket: see `lay`."""
        self.meter.drop(row)
        self._settle(run, row, self.runner.late(run))
        below = run.below
        while below is not None:
            if below.ticket is not None and below.ticket.take("watch"):
                self._settle(below, row, self.runner.stranded(below, run))
            below = below.below
        self.retire(f"{run.envelope.task} did not stop at its time limit")

    @contextmanager
    def sheltered(self, run: Run) -> Iterator[None]:
        """Inside, `run` is out of reach of its limits. Of one that was reached just before it hears at once."""
        ticket = run.ticket
        try:
            if ticket is not None:
                ticket.shelter()
                _give_way()
            yield
        finally:
            if ticket is not None:
                self.watch.expose(ticket)

    @contextmanager
    def exposed(self, run: Run) -> Iterator[None]:
        """Inside of `sheltered`: within their reach again."""
        ticket = run.ticket
        if ticket is not None:
            self.watch.expose(ticket)
        try:
            yield
        finally:
            if ticket is not None:
                ticket.shelter()
                _give_way()

    @staticmethod
    def lay(inner: Run, run: Run) -> None:
        """`inner` is about to run on top of `run`, which is sheltered, and can lose its thread by it."""
        inner.below, run.ticket = run, run.ticket or Ticket()

    def resume(self, run: Run, row: int) -> None:
        """`run` goes on, on top of which another one has run."""
        self.begin(run, row, self.watch.postpone(run.ticket))


def _give_way() -> None:
    """Python looks at the begin of each function whether an exception was set for this thread."""
