"""Which jobs the exchange takes for claimed, though not by itself."""

from __future__ import annotations

from contextlib import ExitStack

from taskq_workers.picks import Picks

JOB = b"j" * 16 + b"default:io"


def test_a_job_is_known_from_before_it_is_asked_for_until_its_outcome_is_written() -> None:
    picks = Picks()
    with picks.asking([JOB]):
        assert JOB in picks
        picks.take(JOB)
    assert JOB in picks
    picks.drop(JOB)
    assert JOB not in picks
    assert not picks


def test_a_job_that_is_taken_again_before_its_last_attempt_is_written_stays_known() -> None:
    picks = Picks()
    picks.take(JOB)
    picks.take(JOB)
    picks.drop(JOB)
    assert JOB in picks
    picks.drop(JOB)
    assert not picks


def test_a_job_is_known_while_it_goes_from_asked_for_to_taken() -> None:
    picks, asking = Picks(), ExitStack()

    class Answered(list[bytes]):
        """The answer comes while somebody looks."""

        def __contains__(self, member: object) -> bool:
            picks.take(JOB)
            asking.close()
            return False

    asking.enter_context(picks.asking(Answered()))
    assert JOB in picks
