"""The memory that a child shares with its supervisor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from taskq_workers.board import Board, Tally

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""Python 3.12 and newer warn of a fork in a process with threads."""

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board(4)
    yield board
    board.close()


def test_an_empty_board_shows_nothing(board: Board) -> None:
    assert (board.started(), board.overdue(1e12)) == (b"", b"")


def test_a_board_shows_what_has_begun_and_not_ended(board: Board) -> None:
    board.begin(0, A)
    board.begin(3, B)
    board.begin(1, C)
    assert board.started() == A + C + B
    board.end(1)
    board.end(2)
    assert board.started() == A + B


def test_a_job_that_has_ended_is_the_last_of_its_slot_until_the_next_begins(board: Board) -> None:
    board.begin(0, A, 10.0)
    board.begin(1, B)
    board.end(0)
    assert (board.started(), board.last(), board.overdue(1e12)) == (B, A + B, b"")
    board.begin(0, C)
    assert (board.started(), board.last()) == (C + B, C + B)


def test_a_slot_shows_its_last_job(board: Board) -> None:
    board.begin(2, A, 5.0)
    board.begin(2, B)
    assert (board.started(), board.overdue(100.0)) == (B, b"")


def test_a_job_is_overdue_once_its_deadline_has_passed(board: Board) -> None:
    board.begin(0, A, 10.0)
    board.begin(1, B, 20.0)
    board.begin(2, C)
    assert board.overdue(10.0) == b""
    assert board.overdue(10.1) == A
    assert board.overdue(1e12) == A + B
    board.end(0)
    assert board.overdue(1e12) == B


def test_a_board_without_rows_is_empty() -> None:
    board = Board(0)
    assert board.started() == b""
    board.close()


def test_a_board_tallies_what_its_process_came_to(board: Board) -> None:
    assert board.tally() == Tally()
    board.count(Tally(ok=2, dead=1))
    board.count(Tally(ok=1, given_back=5, dropped=4))
    board.begin(0, A)
    assert board.tally() == Tally(ok=3, dead=1, given_back=5, dropped=4)
    assert board.started() == A


def fork(work: object) -> int:
    """Run `work` in a child that is killed without a chance to tidy up; the answer is its process id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    return child


def test_what_a_killed_child_had_started_is_still_on_the_board(board: Board) -> None:
    board.begin(0, C)

    def work() -> None:
        board.end(0)
        board.begin(1, A, 7.0)
        board.begin(2, B)
        board.count(Tally(ok=7))

    assert os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1]) == -signal.SIGKILL
    assert (board.started(), board.overdue(8.0)) == (A + B, A)
    assert board.tally() == Tally(ok=7)


def test_the_supervisor_sees_a_job_while_it_runs(board: Board) -> None:
    ours, theirs = os.pipe(), os.pipe()

    def work() -> None:
        board.begin(1, A)
        os.write(ours[1], b"1")
        os.read(theirs[0], 1)

    child = fork(work)
    assert os.read(ours[0], 1) == b"1"
    assert board.started() == A
    os.write(theirs[1], b"1")
    os.waitpid(child, 0)
    for end in (*ours, *theirs):
        os.close(end)
