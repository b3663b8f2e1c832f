"""What a task is, told from its profile; where it should run; what a host should have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq.advice import advise
from taskq.cli.advise.plan import MOST_THREADS, Plan, plan
from taskq.cli.advise.rows import Row, rows_of
from taskq.cli.advise.view import data, screen
from taskq.profile import HALF_LIFE, LEAST_TICKS, REPORT_EVERY, Profile, Stored, nature, read_stored

NOW = 1_700_000_000.0


def thread(wall: float, cpu: float, waits: float = 0.0, free: float = 0.0, jobs: float = 100.0, **more: Any) -> Profile:
    """Jobs of `wall` and `cpu` seconds; of 1,000 looks `waits` and `free` are the shares."""
    sums = {"ticks": 400.0, "looks": 1000.0, "waits": 1000 * waits, "free": 1000 * free} | more
    return Profile(jobs=jobs, wall=wall * jobs, cpu=cpu * jobs, **sums)


def loop(wall: float, loop: float, waits: float = 0.0, free: float = 0.0, jobs: float = 100.0) -> Profile:
    """Coroutines that hold their loop for `loop` seconds each; of 200 looks at a step `waits` and `free` are shares."""
    return Profile(
        jobs=jobs,
        wall=wall * jobs,
        loop=loop * jobs,
        ticks=400,
        looks=200 if loop > 0.001 else 2,
        waits=200 * waits,
        free=200 * free,
    )


SLEEPS = thread(wall=0.05, cpu=0.0001, waits=0.99)
SLEEPS_BESIDE_LOAD = thread(wall=0.15, cpu=0.0002, waits=0.33)
COMPUTES = thread(wall=0.012, cpu=0.012, delay=2.0)
COMPUTES_BESIDE_LOAD = thread(wall=0.2, cpu=0.012, delay=5.6)
HASHES = thread(wall=0.01, cpu=0.01, free=0.97)
HASHES_BESIDE_LOAD = thread(wall=0.2, cpu=0.01, free=0.12)
BOTH = thread(wall=0.05, cpu=0.025, waits=0.5, delay=0.5)
BOTH_BESIDE_LOAD = thread(wall=0.3, cpu=0.025, waits=0.09, delay=3.0)
SMALL = thread(wall=0.003, cpu=0.003)
KINDS = [
    (SLEEPS, "io", "waits", "io"),
    (SLEEPS_BESIDE_LOAD, "io", "waits", "io"),
    (SLEEPS, "cpu", "waits", "io"),
    (COMPUTES, "io", "python", "cpu"),
    (COMPUTES_BESIDE_LOAD, "io", "python", "cpu"),
    (COMPUTES_BESIDE_LOAD, "cpu", "python", "cpu"),
    (SMALL, "io", "python", "io"),
    (HASHES, "io", "c", "io"),
    (HASHES_BESIDE_LOAD, "io", "c", "io"),
    (HASHES, "cpu", "c", "cpu"),
    (BOTH, "io", "mixed", "cpu"),
    (BOTH_BESIDE_LOAD, "io", "mixed", "cpu"),
    (thread(wall=0.05, cpu=0.025, waits=0.5, free=0.5), "io", "mixed", "io"),
    (thread(wall=0.02, cpu=0.02, free=0.5), "io", "mixed", "cpu"),
    (thread(wall=0.0004, cpu=0.0004, ticks=0, looks=0), "io", "quick", "io"),
    (thread(wall=0.05, cpu=0.01, ticks=LEAST_TICKS - 1), "io", "unknown", "io"),
    (Profile(ticks=1000, looks=1000), "io", "unknown", "io"),
    (Profile(), "io", "unknown", "io"),
    (loop(wall=0.05, loop=0.0002), "async", "waits", "async"),
    (loop(wall=90.0, loop=0.05, waits=0.9), "async", "blocks", "io"),
    (loop(wall=90.0, loop=0.05), "async", "python", "cpu"),
    (loop(wall=90.0, loop=0.05, free=0.9), "async", "c", "cpu"),
]


@pytest.mark.parametrize(("profile", "lane", "kind", "better"), KINDS)
def test_a_task_is_named_by_what_it_takes_alone_whatever_runs_beside_it(
    profile: Profile, lane: str, kind: str, better: str
) -> None:
    found = nature(profile, lane)
    assert (found.kind, advise(profile, found, lane).lane) == (kind, better)


@pytest.mark.parametrize(("alone", "beside"), [(SLEEPS, SLEEPS_BESIDE_LOAD), (BOTH, BOTH_BESIDE_LOAD)])
def test_the_wait_for_the_gil_is_no_part_of_a_jobs_own_time(alone: Profile, beside: Profile) -> None:
    assert nature(beside, "io").own == pytest.approx(nature(alone, "io").own, rel=0.1)


def test_reasons_say_what_was_measured() -> None:
    def why(profile: Profile, lane: str) -> str:
        return advise(profile, nature(profile, lane), lane).why

    assert why(SLEEPS, "cpu") == "waits 100% of its time, and nothing else runs in its lane meanwhile"
    assert why(COMPUTES, "io") == "holds the GIL 100% of its time: others get it 5.0ms late"
    assert why(SMALL, "io") == "holds the GIL 100% of its time, but not for long: 3.0ms a job"
    assert why(BOTH, "io").endswith(": others get it 1.2ms late, and it waits as well: two tasks would be better")
    assert why(loop(90, 0.05, 1), "async") == "each job holds the loop for 50ms without awaiting: make it a plain def"
    assert why(thread(1, 1, ticks=3), "io") == "seen running 3 times, 15 are needed"


# As it is stored


def stored(profile: Profile, lane: str = "io", age: float = 600.0, idle: float = 0.0) -> str:
    return f"{lane} {(NOW - age) * 1000:.0f} {(NOW - idle) * 1000:.0f} {profile.numbers()}"


def test_a_profile_is_read_as_it_was_written() -> None:
    assert read_stored(stored(BOTH)) == Stored("io", NOW - 600, NOW, BOTH)


@pytest.mark.parametrize(
    "text",
    ["", "io", "io 1 2", stored(BOTH) + " 1", stored(BOTH)[:-2] + "x", "io nan 2" + " 1" * 10, "io 1 2" + " -1" * 10],
)
def test_what_is_no_profile_is_none(text: str) -> None:
    assert read_stored(text) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    found = read_stored(text)
    assert found is None or all(math.isfinite(number) for number in (found.first, found.last))


def test_the_rate_is_that_of_the_time_since_it_began() -> None:
    rows = rows_of({"a": stored(thread(0.05, 0.01, jobs=6100), age=600)}, NOW)
    assert rows[0].rate == pytest.approx(6100 / 610, rel=0.12)  # the first ones have faded a little


def test_the_rate_fades_when_no_more_jobs_come() -> None:
    busy, idle = (rows_of({"a": stored(BOTH, idle=idle)}, NOW)[0].rate for idle in (0, HALF_LIFE))
    assert idle == pytest.approx(busy / 2)


def test_a_rate_that_goes_on_for_long_is_told_as_it_is() -> None:
    """Every report adds the jobs of its time to what is left of those before."""
    kept = 0.5 ** (REPORT_EVERY / HALF_LIFE)
    jobs = 0.0
    for _ in range(2000):
        jobs = jobs * kept + 7 * REPORT_EVERY
    rows = rows_of({"a": stored(thread(0.05, 0.01, jobs=jobs), age=2000 * REPORT_EVERY)}, NOW)
    assert rows[0].rate == pytest.approx(7, rel=0.01)


# Little's law


def row(profile: Profile, rate: float, lane: str = "io", task: str = "t") -> Row:
    found = nature(profile, lane)
    return Row(task, lane, rate, 0.0, profile, found, advise(profile, found, lane))


def made(*rows: Row, cores: int = 4, workers: int = 1) -> Plan:
    found = plan(rows, cores, workers)
    assert found is not None
    return found


def test_nothing_is_planned_from_nothing() -> None:
    assert plan([], 4, 1) is None
    assert plan([row(Profile(), 1.0)], 4, 1) is None


def test_threads_are_the_jobs_that_run_at_a_time_with_room_for_bursts() -> None:
    found = made(row(SLEEPS, 1000))  # 1,000/s x 50 ms
    assert found.procs == 1
    assert found.at_once == pytest.approx(50, rel=0.02)
    assert found.threads == 71
    assert found.threads_why.startswith("49.60 io jobs run at a time in each process (jobs a second x their own time)")


def test_few_jobs_leave_the_usual_number_of_threads() -> None:
    assert made(row(SLEEPS, 1)).threads == 16


def test_threads_that_would_only_wait_for_the_gil_are_not_advised() -> None:
    found = made(row(thread(wall=0.02, cpu=0.003, waits=0.85), 100))
    assert found.threads == 6
    assert "they hold the GIL 15% of their time" in found.threads_why
    assert made(row(thread(wall=0.02, cpu=0.003, waits=0.85), 10_000)).threads == 6
    assert made(row(thread(wall=0.05, cpu=0.00001, waits=1), 1e6)).threads == MOST_THREADS


def test_tasks_that_compute_get_a_process_for_each_core() -> None:
    found = made(row(COMPUTES, 50), row(SLEEPS, 10))
    assert (found.procs, found.used) == (4, pytest.approx(0.6, rel=0.02))
    assert found.procs_why == "jobs keep 0.60 of 4 cores busy; a burst of t can use every one"


def test_more_than_a_host_can_do_is_said() -> None:
    found = made(row(COMPUTES, 500))
    assert found.procs == 4
    assert (
        found.procs_why == "jobs keep 6.00 of 4 cores busy, which is too much for bursts: 3 hosts like this would do it"
    )


def test_workers_share_the_work() -> None:
    assert made(row(COMPUTES, 500), workers=4).used == pytest.approx(1.5)


def test_without_io_tasks_any_number_of_threads_will_do() -> None:
    assert made(row(COMPUTES, 50)).threads == 16


# What is printed


def test_a_task_in_the_wrong_lane_is_marked() -> None:
    rows = [row(COMPUTES, 2.5, task="shop.count"), row(SLEEPS, 20, task="shop.mail"), row(Profile(), 0, task="new")]
    lines = screen(rows, made(*rows, cores=2), 2, 1, terminal=True).splitlines()
    assert lines[:4] == [
        " TASK        LANE  BETTER  IS                  JOBS/s   TAKES   WAITS  PYTHON       C  GIL DELAY",
        " shop.count  io    cpu     computes in Python    2.50    12ms  0.00ms    12ms  0.00ms     5.00ms",
        " shop.mail   io    -       waits                   20    50ms    50ms  0.10ms  0.00ms     0.00ms",
        " new         io    -       too little data       0.00  0.00ms       -       -       -          -",
    ]
    assert lines[5] == " shop.count  ! holds the GIL 100% of its time: others get it 5.0ms late"
    assert lines[-3:] == [
        " this host has 2 cores; 1 worker at work",
        " --procs 2      jobs keep 0.03 of 2 cores busy; a burst of shop.count can use every one",
        " --threads 16   0.50 io jobs run at a time in each process (jobs a second x their own time), "
        "and 16 leave room for bursts",
    ]


def test_json_has_it_all() -> None:
    rows = [row(BOTH, 2.5, task="shop.both"), row(Profile(), 0, task="new")]
    said = data(rows, made(*rows, cores=2), 2, 1)
    assert said["tasks"][0] == {
        "task": "shop.both",
        "lane": "io",
        "is": "mixed",
        "better": "cpu",
        "why": rows[0].advice.why,
        "jobs_per_second": 2.5,
        "wall_seconds": 0.05,
        "waiting_seconds": 0.025,
        "python_seconds": 0.025,
        "c_seconds": 0.0,
        "gil_delay_seconds": 0.00125,
        "seen": 400.0,
        "reported_seconds_ago": 0.0,
    }
    assert said["tasks"][1]["is"] == "unknown"
    assert (said["host"]["procs"], said["host"]["threads"], said["host"]["cores"]) == (2, 16, 2)
    assert data([], None, 2, 0)["host"] == {"cores": 2, "workers": 0, "procs": None, "threads": None}
