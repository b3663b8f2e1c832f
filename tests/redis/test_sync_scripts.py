"""The transitions of locks, semaphores and barriers: who has a place, who is next, and what death and repetition do."""

from __future__ import annotations

import pytest

from taskq.broker import calls
from taskq.broker.records import BROKEN, DEAD
from tests.support.bench import LEASE, Bench

LOCK, BARRIER = "lock:x", "barrier:x"
THREE = "semaphore:three"


def token(name: str, places: int = 1) -> str:
    """Of the process `name`, or of the worker process `w...`; "a.2" is the second of the process "a"."""
    party, _, number = name.partition(".")
    return f"{party if party.startswith('w') else f'{party}@15000.1'}/{number or 1}/{places}"


class Scene:
    """Calls of parties that are named by a letter."""

    def __init__(self, bench: Bench):
        self.bench = bench

    def acquire(self, name: str, sync: str = LOCK, *, places: int = 1, wait: bool = True, new: bool = True) -> int:
        lease = None if name.startswith("w") else LEASE
        turn = self.bench.run(calls.acquire(sync, token(name, places), lease, new=new, wait=wait))
        return turn.number

    def look(self, name: str, sync: str = LOCK) -> float:
        """In how many seconds the party is to ask again."""
        return self.bench.run(calls.acquire(sync, token(name), LEASE, new=True, wait=True)).look

    def release(self, name: str, sync: str = LOCK, *, places: int = 1) -> int:
        return self.bench.run(calls.release(sync, token(name, places)))

    def renew(self, *names: str) -> list[bool]:
        return [self.bench.run(calls.renew(token(name).split("/")[0], LEASE, 1)).alive for name in names]

    def arrive(self, name: str, places: int = 3, *, again: bool = False) -> int:
        lease = None if name.startswith("w") else LEASE
        return self.bench.run(calls.arrive(BARRIER, token(name, places), lease, new=True, again=again)).number

    def abort(self, name: str = "", *, anew: bool = False) -> int:
        return self.bench.run(calls.abort(BARRIER, token(name, 3) if name else "", anew=anew))

    def has(self, sync: str = LOCK) -> str:
        return self._names("holders", sync)

    def line(self, sync: str = LOCK) -> str:
        return self._names("waiters", sync)

    def _names(self, row: str, sync: str) -> str:
        members = self.bench.ask("ZRANGE", self.bench.broker.key(row, sync), 0, -1)
        parts = [member.decode().split("/") for member in members]
        return " ".join(party.split("@")[0] + ("" if number == "1" else f".{number}") for party, number, _ in parts)

    def told(self, name: str) -> list[int]:
        """What was pushed for a party and not read, in order."""
        words = self.bench.ask("LRANGE", self.bench.broker.key("granted", name.partition(".")[0]), 0, -1)
        return [int(word.split()[1]) for word in words]

    def left(self) -> int:
        """How many stakes there are of anybody."""
        return len(self.bench.ask("KEYS", self.bench.broker.prefix + b"stakes:*"))


@pytest.fixture
def scene(bench: Bench) -> Scene:
    return Scene(bench)


# One after another


def test_a_free_lock_is_taken_and_the_next_stand_in_line_in_the_order_in_which_they_came(scene: Scene) -> None:
    first = scene.acquire("a")
    assert first > 0
    assert [scene.acquire(name) for name in "bcd"] == [0, 0, 0]
    assert (scene.has(), scene.line()) == ("a", "b c d")
    for name in "abcd":
        assert scene.release(name) == 1
    assert (scene.has(), scene.line(), scene.left()) == ("", "", 0)
    fences = [first, *(scene.told(name)[0] for name in "bcd")]
    assert fences == sorted(set(fences))


def test_fences_grow_though_redis_lost_the_last_ones_and_the_clock_stands_still(scene: Scene) -> None:
    fences = []
    for _ in range(3):
        fences.append(scene.acquire("a"))
        scene.release("a")
    scene.bench.ask("DEL", scene.bench.broker.key("fencing"))
    scene.bench.clock.advance(1)
    fences.append(scene.acquire("a"))
    assert fences == sorted(set(fences))


def test_fences_grow_though_the_clock_is_set_back(scene: Scene) -> None:
    before = scene.acquire("a")
    scene.release("a")
    scene.bench.clock.advance(-3600)
    assert scene.acquire("a") > before


def test_a_call_that_is_sent_twice_is_answered_as_before(scene: Scene) -> None:
    fence = scene.acquire("a")
    assert scene.acquire("a") == fence
    assert [scene.acquire("b"), scene.acquire("b")] == [0, 0]
    assert (scene.has(), scene.line()) == ("a", "b")
    assert [scene.release("a"), scene.release("a")] == [1, 0]
    assert scene.acquire("b") == scene.told("b")[0]
    assert scene.has() == "b"


def test_who_will_not_wait_does_not_stand_in_line_and_who_waited_leaves_it(scene: Scene) -> None:
    scene.acquire("a")
    assert scene.acquire("b", wait=False) == 0
    scene.acquire("c")
    assert scene.line() == "c"
    assert scene.acquire("c", wait=False) == 0
    assert (scene.line(), scene.left()) == ("", 1)


def test_whose_turn_came_just_before_he_gave_up_has_it(scene: Scene) -> None:
    scene.acquire("a")
    scene.acquire("b")
    scene.release("a")
    assert scene.acquire("b", wait=False) == scene.told("b")[0]


def test_nobody_passes_those_in_line(scene: Scene) -> None:
    for name in "abc":
        scene.acquire(name, THREE, places=2)
    assert scene.acquire("d", THREE, places=9, wait=False) == 0
    scene.release("a", THREE, places=2)
    assert (scene.has(THREE), scene.acquire("d", THREE, places=2)) == ("b c", 0)


def test_a_semaphore_has_so_many_places(scene: Scene) -> None:
    assert [scene.acquire(name, THREE, places=3) > 0 for name in "abcde"] == [True, True, True, False, False]
    scene.release("b", THREE, places=3)
    assert (scene.has(THREE), scene.line(THREE)) == ("a c d", "e")


def test_locks_of_other_names_and_kinds_are_others(scene: Scene) -> None:
    assert all(scene.acquire("a", sync) for sync in ("lock:x", "lock:y", "semaphore:x"))


# Death


def test_a_lock_of_a_process_that_died_goes_to_the_next_when_its_lease_has_run_out(scene: Scene) -> None:
    scene.acquire("a")
    scene.bench.clock.advance(5)
    assert scene.look("b") == pytest.approx(10, abs=0.01)
    scene.bench.clock.advance(9.9)
    assert scene.acquire("b") == 0
    scene.bench.clock.advance(0.2)
    assert scene.acquire("b") > 0
    assert scene.has() == "b"


def test_a_process_that_renews_its_lease_keeps_its_locks(scene: Scene) -> None:
    scene.acquire("a")
    scene.acquire("b")
    for _ in range(10):
        scene.bench.clock.advance(10)
        assert scene.renew("a", "b") == [True, True]
    assert (scene.has(), scene.line()) == ("a", "b")


def test_a_process_whose_lease_ran_out_is_told_that_it_lost_everything(scene: Scene) -> None:
    scene.acquire("a")
    scene.acquire("b")
    scene.bench.clock.advance(16)
    scene.renew("b")
    scene.acquire("c")
    assert scene.has() == "b"
    assert scene.renew("a") == [False]
    assert scene.release("a") == DEAD
    assert scene.acquire("a", new=False) == DEAD
    assert scene.has() == "b"


def test_the_dead_in_line_are_passed_over(scene: Scene) -> None:
    for name in "abcd":
        scene.acquire(name)
    scene.bench.clock.advance(10)
    scene.renew("a", "d")
    scene.bench.clock.advance(6)
    scene.release("a")
    assert (scene.has(), scene.line()) == ("d", "")


def test_a_reaped_worker_process_hands_on_all_it_had_in_that_very_call(scene: Scene) -> None:
    scene.bench.register("w2")
    scene.acquire("w1")
    scene.acquire("w1.2", "lock:y")
    scene.acquire("w1.3", "lock:z")
    for sync in (LOCK, "lock:y"):
        scene.acquire("w2", sync)
    scene.bench.reap("w1", "")
    assert (scene.has(), scene.has("lock:y"), scene.has("lock:z")) == ("w2", "w2", "")
    assert len(scene.told("w2")) == 2
    assert scene.acquire("w1") == DEAD


def test_a_worker_process_keeps_its_locks_as_long_as_it_is_not_declared_dead(scene: Scene) -> None:
    scene.acquire("w1")
    scene.acquire("b")
    for _ in range(10):
        scene.bench.clock.advance(3)
        scene.bench.beat(w1="")
        scene.renew("b")
        scene.acquire("b")
    assert scene.has() == "w1"


def test_what_a_process_with_hundreds_of_locks_had_is_free_after_some_calls(scene: Scene) -> None:
    for number in range(250):
        scene.acquire(f"w1.{number}", f"lock:{number}")
    scene.bench.register("w2")
    scene.bench.reap("w1", "")
    assert scene.left() == 1
    scene.bench.beat(w2="")
    scene.bench.beat(w2="")
    assert scene.left() == 0


def test_a_supervisor_frees_locks_of_dead_processes_that_nobody_waits_for(scene: Scene) -> None:
    scene.acquire("a")
    scene.bench.clock.advance(16)
    scene.bench.beat(w1="")
    assert (scene.has(), scene.left()) == ("", 0)


def test_a_worker_process_that_nobody_reaps_is_suspected_and_its_lock_free_after_a_while(scene: Scene) -> None:
    scene.acquire("w1")
    scene.bench.clock.advance(16)
    assert scene.acquire("b") == 0
    scene.bench.clock.advance(14)
    assert scene.acquire("b") == 0
    scene.bench.clock.advance(2)
    assert scene.acquire("b") > 0


def test_a_worker_process_that_comes_back_from_suspicion_keeps_its_lock(scene: Scene) -> None:
    scene.acquire("w1")
    scene.bench.clock.advance(16)
    scene.acquire("b")
    scene.bench.beat(w1="")  # the outage guard
    scene.bench.clock.advance(14)
    scene.bench.beat(w1="")
    scene.bench.clock.advance(2)
    assert scene.acquire("b") == 0
    assert scene.has() == "w1"


def test_a_lock_of_a_worker_process_that_an_older_supervisor_reaped_is_free(scene: Scene) -> None:
    scene.acquire("w1")
    scene.bench.ask("ZREM", scene.bench.broker.key("workers"), "w1")
    scene.acquire("b")
    assert scene.acquire("b") > 0
    scene.bench.register("w1")


def test_a_party_is_told_what_redis_has_where_it_knows_of_another_number(scene: Scene) -> None:
    scene.acquire("a")
    scene.acquire("a.2", "lock:y")
    party = token("a").split("/")[0]
    assert scene.bench.run(calls.renew(party, LEASE, 2)) == (True, None)
    found = scene.bench.run(calls.renew(party, LEASE, 1))
    assert sorted(found.stakes or ()) == [(LOCK, token("a")), ("lock:y", token("a.2"))]


# Barriers


def test_a_barrier_opens_when_all_have_come_and_numbers_them(scene: Scene) -> None:
    assert [scene.arrive(name) for name in "abc"] == [0, 0, 3]
    assert (scene.told("a"), scene.told("b"), scene.told("c")) == ([1], [2], [])
    assert scene.left() == 0


def test_who_did_not_hear_that_all_have_come_is_told_again_in_that_round(scene: Scene) -> None:
    for name in "abc":
        scene.arrive(name)
    assert scene.arrive("a", again=True) == 1
    assert [scene.arrive(f"{name}.2") for name in "bca"] == [0, 0, 3]


def test_who_waits_for_too_long_breaks_it_for_all(scene: Scene) -> None:
    scene.arrive("a")
    scene.arrive("b")
    assert scene.abort("a") == BROKEN
    assert (scene.told("b"), scene.arrive("c")) == ([BROKEN], BROKEN)
    assert scene.left() == 0


def test_who_gave_up_just_when_all_had_come_has_his_place(scene: Scene) -> None:
    for name in "abc":
        scene.arrive(name)
    assert scene.abort("a") == 1
    assert scene.arrive("a.2") == 0


def test_a_reset_breaks_it_for_those_who_wait_and_begins_anew(scene: Scene) -> None:
    scene.arrive("a")
    scene.abort(anew=True)
    assert scene.told("a") == [BROKEN]
    assert scene.arrive("a", again=True) == BROKEN
    assert [scene.arrive(f"{name}.2") for name in "abc"] == [0, 0, 3]


def test_a_broken_one_is_whole_again_after_a_reset(scene: Scene) -> None:
    scene.abort()
    assert scene.arrive("a") == BROKEN
    scene.abort(anew=True)
    assert scene.arrive("a") == 0


def test_who_gave_up_before_a_reset_and_is_late_does_not_break_the_new_round(scene: Scene) -> None:
    scene.arrive("a")
    scene.abort(anew=True)
    scene.arrive("b")
    assert scene.abort("a") == BROKEN
    assert scene.arrive("c") == 0


def test_the_death_of_who_waits_breaks_it(scene: Scene) -> None:
    scene.arrive("w1")
    scene.arrive("b")
    scene.bench.reap("w1", "")
    assert scene.told("b") == [BROKEN]


def test_the_death_of_who_has_passed_does_not(scene: Scene) -> None:
    for name in ("w1", "b", "c"):
        scene.arrive(name)
    scene.arrive("b.2")
    scene.bench.reap("w1", "")
    assert scene.arrive("c.2") == 0
