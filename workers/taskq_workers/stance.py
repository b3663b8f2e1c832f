"""What a thread of this process does at this instant, as one sees it who holds the GIL.

    it runs, or is about to       it computes, and without the GIL, as that is here
    it waits in _PyRuntime        for the GIL: there is where CPython keeps it
    it waits elsewhere            for a socket, a file, a lock, a clock

Linux says in /proc/self/task/<tid>/syscall in what a thread waits. Nothing here lets go of the GIL: these calls of C
go through `ctypes.pythonapi`, which keeps it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Literal

Stance = Literal["runs", "wants", "waits"]
_RUNTIME_SIZE = 1 << 20
"""Bytes from _PyRuntime on: it is smaller, and what lies behind it is nothing that threads wait in."""
_PR_SET_TIMERSLACK = 29


class Seat:
    """A thread that can be looked at: the one that makes this. Raises OSError where that cannot be."""

    def __init__(self) -> None:
        if not hasattr(time, "pthread_getcpuclockid") or _runtime() is None:
            raise OSError("this system does not tell what a thread does")
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._file = os.open(f"/proc/self/task/{threading.get_native_id()}/syscall", os.O_RDONLY | os.O_CLOEXEC)
        self._cpu = 0.0

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def cpu(self) -> float:
        """Seconds of CPU that the thread has used, or had when it ended."""
        with suppress(OSError):
            self._cpu = time.clock_gettime(self._clock)
        return self._cpu

    def stance(self) -> Stance:
        words = _peek(self._file).split(None, 2)
        if not words or words[0] == b"running":
            return "runs"
        start = _runtime() or 0
        return "wants" if len(words) > 1 and start <= int(words[1], 16) < start + _RUNTIME_SIZE else "waits"


class Queue:
    """How long this thread has stood in line for a core (Linux): the kernel's doing, not the GIL's."""

    def __init__(self) -> None:
        try:
            name = f"/proc/self/task/{threading.get_native_id()}/schedstat"
            self._file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1

    def seconds(self) -> float:
        """Since it began; 0 where the system does not say."""
        words = _peek(self._file).split() if self._file >= 0 else []
        return int(words[1]) / 1e9 if len(words) > 1 else 0.0


def hold(seconds: float) -> None:
    """Sleep, and keep the GIL meanwhile: only what does not need it goes on."""
    ctypes.pythonapi.usleep(ctypes.c_uint(round(seconds * 1e6)))


def rests() -> int:
    """How often this thread has gone to sleep: `hold` is one, and to have lost the GIL another."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if sys.platform == "linux" else 0


def be_punctual() -> None:
    """Have the kernel end this thread's sleeps in time, not up to 50 us later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


_buffer = ctypes.create_string_buffer(256)


def _peek(file: int) -> bytes:
    count = ctypes.pythonapi.pread(file, _buffer, ctypes.c_size_t(len(_buffer) - 1), ctypes.c_long(0))
    return _buffer.raw[: max(0, count)]


@cache
def _runtime() -> int | None:
    """Where _PyRuntime begins; None where this Python does not show it."""
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    except ValueError:
        return None
