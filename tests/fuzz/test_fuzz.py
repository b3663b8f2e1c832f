"""Short rounds of what `python -m tests.fuzz` does at length."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskq.codec import Envelope, decode_job, encode_job
from taskq.errors import MalformedJob
from tests.fuzz.bodies import Chance
from tests.fuzz.decoding import MOST_BYTES, MOST_SECONDS, decode_all, fate
from tests.fuzz.working import work_off
from tests.support.travelling import anything
from tests.support.workers import ROOT

quick = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEED = random.randrange(2**31)


def test_every_body_is_a_job_or_malformed_within_time_and_memory() -> None:
    print(f"seed {SEED}")
    tally = decode_all(SEED, 20_000)
    print(tally)
    assert tally.slowest < MOST_SECONDS
    assert tally.peak < MOST_BYTES
    assert tally.reasons["valid"]
    assert len(tally.reasons) > 20


def test_a_seed_makes_the_same_bodies_again() -> None:
    one, other = Chance(7), Chance(7)
    assert [one.body() for _ in range(200)] == [other.body() for _ in range(200)]


@quick
@given(st.lists(anything, max_size=3), st.data())
def test_no_change_of_any_accepted_job_gets_more_than_malformed_out_of_a_decoder(args: list[Any], data: Any) -> None:
    body = encode_job(Envelope(task="t", args=tuple(args), kwargs={}, enqueued_at=1.0))
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 4)))
    fate(body[:start] + data.draw(st.binary(max_size=4)) + body[end:])


@quick
@given(st.binary(max_size=300))
def test_no_bytes_get_more_than_malformed_out_of_a_decoder(data: bytes) -> None:
    fate(data)


BOMB = """
from taskq.codec import decode_job, decode_record, decode_history
from taskq.errors import MalformedJob

for code in range(256):
    bomb = b"\\x92\\xc0\\xc0"
    while len(bomb) < 711:
        length = bytes([0xc7, len(bomb)]) if len(bomb) < 256 else bytes([0xc8]) + len(bomb).to_bytes(2, "big")
        bomb = length + bytes([code]) + bomb
    assert len(bomb) == 714, len(bomb)
    for decode in (decode_job, decode_record, decode_history):
        try:
            decode(bomb)
        except MalformedJob:
            continue
        raise AssertionError(code)
print("alive")
"""


def test_the_714_bytes_that_could_overflow_the_c_stack_do_not() -> None:
    """In a process of its own, with a small stack: it would not end with an exception."""
    command = f"ulimit -s 512; exec {sys.executable} -c '{BOMB}'"
    ended = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.stdout, ended.returncode) == ("alive\n", 0), ended.stderr


def frame(argument: bytes) -> bytes:
    """A job with one argument."""
    return b"\x95\x01\xa1t\x91" + argument + b"\x80\x01"


@pytest.mark.parametrize("levels", [150, 199])
def test_what_is_decoded_is_not_too_deep_to_be_shown(levels: int) -> None:
    assert repr(decode_job(frame(b"\x91" * levels + b"\x01"))).count("[") == levels


@pytest.mark.parametrize("levels", [210, 1000, 5000])
def test_what_is_too_deep_to_be_shown_is_malformed(levels: int) -> None:
    with pytest.raises(MalformedJob, match=r"deep|StackError"):
        decode_job(frame(b"\x91" * levels + b"\x01"))


def test_a_worker_brings_every_body_to_an_end_and_goes_on(redis_url: str) -> None:
    print(f"seed {SEED}")
    fates = work_off(redis_url, SEED, 3000)
    print(fates)
    assert fates.counts.total() == 3000
    assert fates.counts["done"]
    assert fates.counts["parked"]
    assert sum(n for what, n in fates.counts.items() if what.startswith("dead: MalformedJob: cannot decode")) > 2000
