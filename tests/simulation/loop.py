"""Simulated time, and those for whom it passes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any

Deed = Callable[[], object]
Then = Callable[..., object]
"""How an actor goes on: with a value, or with `error=`."""
Effect = Callable[[Then], object]
"""What an actor yields: it is given the way to go on."""
Acts = Generator[Effect, Any, Any]

FOREVER = float("inf")
WAKING = 0.005
"""Seconds until what happened while a process stood still has been heard by it."""
A_MOMENT = 1e-6
"""Seconds by which whoever waits until a time wakes up after it."""


class Loop:
    """Deeds in the order of their times. `now` is in seconds; all chance comes from `seed`."""

    def __init__(self, seed: int, remembers: int = 60):
        self.seed = seed
        self.chance = Random(seed)
        self.now = 0.0
        self.steps = 0
        self.story: deque[tuple[Any, ...]] = deque(maxlen=remembers)
        self._due: list[tuple[float, int, Process | None, Deed]] = []
        self._serial = 0

    def at(self, delay: float, deed: Deed, process: Process | None = None) -> None:
        """Have `deed` done in `delay` seconds: by `process`, unless it is dead by then."""
        self._serial += 1
        heappush(self._due, (self.now + delay, self._serial, process, deed))

    def turn(self) -> None:
        """Do what comes next."""
        self.now, _, process, deed = heappop(self._due)
        if process is None:
            deed()
        else:
            process.do(deed)

    def tell(self, *words: Any) -> None:
        """Remember a step for the story."""
        self.steps += 1
        self.story.append((self.steps, self.now, *words))

    def told(self, width: int = 240) -> str:
        """The last steps, a line each."""
        lines = (f"step {step:>7}  {now:9.3f} s  {' '.join(map(shown, words))}" for step, now, *words in self.story)
        return "\n".join(line if len(line) <= width else f"{line[: width - 3]}..." for line in lines)


def shown(word: Any) -> str:
    """As it is told: bytes without their quotes, calls by their name and arguments."""
    if isinstance(word, bytes):
        return word.decode("latin-1")
    if isinstance(word, (list, tuple)):
        name = getattr(word, "name", "")
        return f"{name}({' '.join(map(shown, word[1] if name else word))})"
    return str(word)


class Process:
    """A process of a machine: what is to be done in it waits while it is stopped, and is gone once it is dead."""

    def __init__(self, loop: Loop, name: str):
        self.loop, self.name = loop, name
        self.alive, self.stopped, self.vanished = True, False, False
        self.mourners: list[Deed] = []
        self._missed: list[Deed] = []

    @property
    def well(self) -> bool:
        return self.alive and not self.stopped

    def at(self, delay: float, deed: Deed) -> None:
        self.loop.at(delay, deed, self)

    def do(self, deed: Deed) -> None:
        if self.alive:
            self._missed.append(deed) if self.stopped else deed()

    def stop(self) -> None:
        self.stopped = True

    def go_on(self) -> None:
        """After a stop. What it missed comes in some order, and time has passed."""
        self.stopped = False
        missed, self._missed = self._missed, []
        for deed in missed:
            self.at(self.loop.chance.uniform(0, WAKING), deed)

    def kill(self, vanished: bool = False) -> None:
        """`vanished`: its machine lost its power or its network, so that nobody is told that its connections ended."""
        if self.alive:
            self.alive, self.vanished = False, vanished
            self._missed.clear()
            for mourn in self.mourners:
                mourn()

    def start(self, acts: Acts) -> None:
        """Let an actor act in this process."""

        def go(value: Any = None, error: Exception | None = None) -> None:
            try:
                effect = acts.throw(error) if error else acts.send(value)
            except StopIteration:
                return
            effect(go)

        self.at(0.0, go)

    def sleep(self, seconds: float) -> Effect:
        return lambda then: self.at(seconds, then)


class Nap:
    """What an actor waits in, until it is time or somebody wakes it."""

    def __init__(self, process: Process):
        self._process = process
        self._then: Then | None = None
        self._number = 0
        self._awake = False

    def until(self, time: float) -> Effect:
        """Wait until `time`. Who was woken before does not wait at all."""

        def effect(then: Then) -> None:
            self._then = then
            self._number += 1
            if self._awake:
                self._end_soon(0.0)
            elif time < FOREVER:
                self._end_soon(max(0.0, time - self._process.loop.now) + A_MOMENT)

        return effect

    def wake(self) -> None:
        if self._then:
            self._end_soon(0.0)
        else:
            self._awake = True

    def _end_soon(self, delay: float) -> None:
        self._process.at(delay, partial(self._end, self._number))

    def _end(self, number: int) -> None:
        if number == self._number and self._then:
            then, self._then, self._awake = self._then, None, False
            then()
