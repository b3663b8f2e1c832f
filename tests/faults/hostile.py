"""Jobs that do their worst to the process they run in: each is a `Way`, which says how such a job ends.

`app` has these tasks beside those of `tests.faults.jobs`: `harm` in a thread, `aharm` in the event loop.
"""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import gc
import locale
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tests.faults import journals
from tests.faults.jobs import KEPT, app, execution

DONE, LOST, UNSTORABLE = "done", "WorkerLost", "ResultNotStored"


@dataclass(frozen=True, slots=True)
class Way:
    """How to do harm. `ends`: DONE, or the name of the error with which the job is dead.

    `fatal`: its process ends while it runs. `later`: its process ends soon after the job.
    """

    act: Callable[[], Any]
    ends: str = DONE
    fatal: bool = False
    later: bool = False


@app.task(retries=0, result_ttl=KEPT)
def harm(token: str, how: str) -> Any:
    with execution(token) as name:
        value = IN_THREADS[how].act()
        return name if value is None else value


@app.task(retries=0, result_ttl=KEPT)
async def aharm(token: str, how: str) -> Any:
    with execution(token) as name:
        value = await IN_LOOP[how].act()
        return name if value is None else value


@app.task(retries=0)
async def never_awaits(token: str) -> str:
    with execution(token) as name:
        return name


@app.task
def hold_the_gil(token: str, seconds: int) -> str:
    """One call into C that does not let go of it."""
    with execution(token) as name:
        ctypes.PyDLL(None).sleep(seconds)
        return name


@app.task(timeout=0.3, retries=0)
def loop_too_long(token: str) -> NoReturn:
    with execution(token):
        while True:
            pass


@app.task(retries=0)
def loop_forever(token: str) -> NoReturn:
    with execution(token):
        while True:
            pass


@app.task(timeout=0.3, retries=0)
def refuse_to_stop(token: str) -> NoReturn:
    """Takes the time limit for an error like others, again and again."""
    with execution(token):
        while True:
            with suppress(BaseException):
                time.sleep(0.1)


# Exceptions


def throw(error: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class EndlessError(Exception):
    def __str__(self) -> str:
        return "x" * 50_000_000


class BrokenTextError(Exception):
    def __str__(self) -> str:
        return "half a character: \udc80"


class ShapelessError(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise SystemExit

    def __repr__(self) -> str:
        raise SystemExit


def a_chain_of_errors() -> NoReturn:
    error: BaseException = ValueError(0)
    for number in range(5000):
        error, error.__cause__ = ValueError(number), error
    raise error


def recurse_in_c() -> object:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return repr(nested)


def overflow_the_stack() -> object:
    """Python calls C calls Python, until the stack of this thread is full."""
    sys.setrecursionlimit(1 << 30)
    return max([1], key=lambda _: overflow_the_stack())


def too_much_memory() -> object:
    return bytearray(1 << 60)


# Values


class Secretive:
    def __repr__(self) -> str:
        raise SystemExit

    def __getstate__(self) -> Any:
        raise SystemExit

    def __iter__(self) -> Any:
        raise SystemExit

    def __hash__(self) -> int:
        raise SystemExit

    @property
    def __class__(self) -> Any:
        raise SystemExit

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class BrokenList(list[Any]):
    def __iter__(self) -> Any:
        raise SystemExit

    def __len__(self) -> int:
        raise SystemExit


def a_list_in_itself() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


# Processes and threads


def fork_and_exit() -> None:
    if os.fork() == 0:
        sys.exit(3)


def fork_and_raise() -> None:
    if os.fork() == 0:
        raise ValueError("in the copy")


def fork_and_stay() -> None:
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)


def become_another_program() -> None:
    os.execv("/bin/sh", ["sh", "-c", "exit 0"])


def become_a_program_that_stays() -> None:
    os.execv("/bin/sleep", ["sleep", "60"])


def in_a_thread(act: Callable[[], object], daemon: bool = False) -> Callable[[], None]:
    def start() -> None:
        threading.Thread(target=act, daemon=daemon).start()

    return start


def outlive_and_raise() -> None:
    time.sleep(0.5)
    raise ValueError("nobody asked any more")


def outlive_and_exit() -> None:
    time.sleep(0.3)
    os._exit(7)


def raise_from_the_hook() -> None:
    def hook(_: Any) -> NoReturn:
        raise SystemExit

    threading.excepthook = hook
    thread = threading.Thread(target=throw(ValueError("in a thread")))
    thread.start()
    thread.join()


# What the whole process shares


def close_all_files() -> None:
    """But those of the journals, which are the test's."""
    for file in range(3, 4096):
        with suppress(OSError):
            if not str(Path(f"/proc/self/fd/{file}").readlink()).startswith(os.environ[journals.FOLDER]):
                os.close(file)


def close_the_streams() -> None:
    sys.stdout.close()
    sys.stderr.close()


def close_the_log() -> None:
    os.close(1)
    os.close(2)


def no_streams() -> None:
    sys.stdout = sys.stderr = None  # type: ignore[assignment]


def write_garbage() -> None:
    for file in (1, 2):
        os.write(file, b'\xff\x00{"event": "ready"\x1b[2J\n' * 100)
    print("{", end="", file=sys.stderr, flush=True)


def block_the_log() -> None:
    os.set_blocking(2, False)


def change_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def set_a_handler() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def go_elsewhere() -> None:
    os.chdir("/")
    os.umask(0o777)
    os.environ.update(TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8")
    time.tzset()
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "C")


def break_time() -> None:
    time.time = lambda: 0.0
    time.perf_counter = time.process_time = throw(SystemExit(1))


def break_builtins() -> None:
    builtins.print = builtins.len = throw(SystemExit(1))


def forget_modules() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("taskq", "json", "traceback", "asyncio")]:
        del sys.modules[name]


def shrink_the_stack() -> None:
    sys.setrecursionlimit(60)


def switch_off() -> None:
    gc.disable()
    gc.set_threshold(1)
    sys.setswitchinterval(5.0)
    warnings.simplefilter("error")


def trace() -> None:
    def tracer(frame: FrameType, event: str, arg: Any) -> NoReturn:
        raise SystemExit

    sys.settrace(tracer)
    threading.settrace(tracer)


def profile() -> None:
    def profiler(frame: FrameType, event: str, arg: Any) -> NoReturn:
        raise SystemExit

    sys.setprofile(profiler)


class Mine:
    def __del__(self) -> None:
        raise SystemExit


def leave_a_mine() -> None:
    mine = Mine()
    mine.mine = mine  # type: ignore[attr-defined]


def interrupt_the_main_thread() -> None:
    main = threading.main_thread().ident
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main or 0), ctypes.py_object(KeyboardInterrupt))


def limit_memory() -> None:
    """So little that the next larger thing cannot be had; then as it was."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
    try:
        bytearray(256 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


IN_THREADS = {
    "exit": Way(throw(SystemExit(3)), "SystemExit"),
    "interrupt": Way(throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "close a generator": Way(throw(GeneratorExit()), "GeneratorExit"),
    "stop an iteration": Way(throw(StopIteration(1)), "StopIteration"),
    "cancel": Way(throw(asyncio.CancelledError()), "CancelledError"),
    "no memory": Way(throw(MemoryError()), "MemoryError"),
    "too much memory": Way(too_much_memory, "MemoryError"),
    "memory limit": Way(limit_memory, "MemoryError"),
    "recurse in C": Way(recurse_in_c, "RecursionError"),
    "overflow the stack": Way(overflow_the_stack, LOST, fatal=True),
    "unspeakable": Way(throw(UnspeakableError()), "UnspeakableError"),
    "endless": Way(throw(EndlessError()), "EndlessError"),
    "half a character": Way(throw(BrokenTextError()), "BrokenTextError"),
    "shapeless": Way(throw(ShapelessError()), "ShapelessError"),
    "chain of errors": Way(a_chain_of_errors, "ValueError"),
    "10 MB": Way(lambda: bytes(10 << 20), UNSTORABLE),
    "secretive": Way(Secretive, "SystemExit"),
    "secretive in a list": Way(lambda: [Secretive()], "SystemExit"),
    "broken list": Way(BrokenList, UNSTORABLE),
    "list in itself": Way(a_list_in_itself, UNSTORABLE),
    "surrogates": Way(lambda: "\udc80"),
    "exit at once": Way(lambda: os._exit(1), LOST, fatal=True),
    "abort": Way(os.abort, LOST, fatal=True),
    "kill": Way(lambda: os.kill(os.getpid(), signal.SIGKILL), LOST, fatal=True),
    "segfault": Way(lambda: ctypes.string_at(0), LOST, fatal=True),
    "become another program": Way(become_another_program, LOST, fatal=True),
    "become a program that stays": Way(become_a_program_that_stays, LOST, fatal=True),
    "fork and exit": Way(fork_and_exit),
    "fork and raise": Way(fork_and_raise),
    "fork and stay": Way(fork_and_stay),
    "outlive and raise": Way(in_a_thread(outlive_and_raise)),
    "outlive and exit": Way(in_a_thread(outlive_and_exit), later=True),
    "raise from the hook": Way(raise_from_the_hook),
    "close all files": Way(close_all_files, LOST, fatal=True),
    "close the streams": Way(close_the_streams, later=True),
    "close the log": Way(close_the_log, later=True),
    "no streams": Way(no_streams),
    "write garbage": Way(write_garbage),
    "block the log": Way(block_the_log),
    "change signals": Way(change_signals),
    "set a handler": Way(set_a_handler, "ValueError"),
    "alarm": Way(lambda: signal.setitimer(signal.ITIMER_REAL, 0.3) and None, later=True),
    "own session": Way(os.setsid, "PermissionError"),
    "own group": Way(lambda: os.setpgid(0, 0)),
    "go elsewhere": Way(go_elsewhere),
    "break time": Way(break_time),
    "break builtins": Way(break_builtins, LOST, later=True),
    "forget modules": Way(forget_modules),
    "shrink the stack": Way(shrink_the_stack),
    "switch off": Way(switch_off),
    "trace": Way(trace, "SystemExit"),
    "profile": Way(profile, "SystemExit"),
    "leave a mine": Way(leave_a_mine),
    "interrupt the main thread": Way(interrupt_the_main_thread, LOST, later=True),
}


# In the event loop


def athrow(error: BaseException) -> Callable[[], Awaitable[NoReturn]]:
    async def act() -> NoReturn:
        raise error

    return act


def loop_does(act: Callable[[asyncio.AbstractEventLoop], object]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        act(asyncio.get_running_loop())
        await asyncio.sleep(0)

    return run


async def leave_a_generator_open() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise SystemExit

    await anext(aiter(numbers()))


async def exit_in_a_task() -> None:
    task = asyncio.create_task(athrow(SystemExit(3))())  # type: ignore[arg-type]
    await asyncio.wait([task])


async def leave_a_task_behind() -> None:
    async def linger() -> None:
        await asyncio.sleep(0.2)
        raise ValueError("nobody asked any more")

    app.left_behind = asyncio.create_task(linger())  # type: ignore[attr-defined]


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancel_itself_and_wait() -> None:
    await cancel_itself()
    await asyncio.sleep(0)


def raise_in_the_handler(loop: asyncio.AbstractEventLoop) -> None:
    def handler(*_: Any) -> NoReturn:
        raise SystemExit

    loop.set_exception_handler(handler)
    loop.call_soon(throw(ValueError("in a callback")))


def exit_in_a_callback(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(throw(SystemExit(3)))


def debug(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # type: ignore[attr-defined]


def break_the_factory(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_task_factory(lambda *_, **__: throw(SystemExit(3))())


IN_LOOP = {
    "exit": Way(athrow(SystemExit(3)), "SystemExit"),
    "interrupt": Way(athrow(KeyboardInterrupt()), "KeyboardInterrupt"),
    "close a generator": Way(athrow(GeneratorExit()), "GeneratorExit"),
    "cancel": Way(athrow(asyncio.CancelledError()), "CancelledError"),
    "cancel itself": Way(cancel_itself),
    "cancel itself and wait": Way(cancel_itself_and_wait, "CancelledError"),
    "stop the loop": Way(loop_does(lambda loop: loop.stop())),
    "close the loop": Way(loop_does(lambda loop: loop.close()), "RuntimeError"),
    "leave a generator open": Way(leave_a_generator_open),
    "exit in a task": Way(exit_in_a_task),
    "exit in a callback": Way(loop_does(exit_in_a_callback)),
    "leave a task behind": Way(leave_a_task_behind),
    "raise in the handler": Way(loop_does(raise_in_the_handler)),
    "debug": Way(loop_does(debug)),
    "break the factory": Way(loop_does(break_the_factory)),
}
