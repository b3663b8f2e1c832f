"""Waiting for what can only be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable

STEP, STEPS = 0.005, 4000


def until(condition: Callable[[], bool]) -> None:
    """Returns once it is so, which it becomes by itself. Fails after 20 s."""
    pause = threading.Event()
    for _ in range(STEPS):
        if condition():
            return
        pause.wait(STEP)
    raise AssertionError("it never became so")
