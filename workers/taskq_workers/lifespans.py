"""The lifespans of a process: entered in their order before the first job, closed in reverse after the last.

    sync     entered and closed in the main thread
    async    a task on the event loop of async jobs, which enters, waits, and closes: what it makes belongs to that loop

What cannot be entered is a boot error; what was entered before it is closed. What fails while it closes is told, and
the others are closed all the same: by then every outcome is written.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from functools import partial
from typing import Any, cast

from taskq.errors import ConfigError, TaskqError
from taskq.lifespan import Shared, is_async
from taskq_workers.loader import own_traceback
from taskq_workers.loop import Loop

LEAST_TO_CLOSE = 1.0
"""Seconds that closing gets, however small the grace."""


class LifespanFailed(TaskqError):
    """A lifespan cannot be entered."""


class Lifespans:
    """Those that were entered in this process. `log` hears of those that cannot be closed."""

    def __init__(self, log: Any, epoch: str) -> None:
        self._log, self._epoch, self._pid = log, epoch, os.getpid()
        self._open: list[tuple[Shared[Any], Callable[[], object]]] = []
        self._loop: Loop | None = None

    @property
    def loop(self) -> Loop:
        """The event loop of this process; made when it is asked for, so that the app has set its policy by then."""
        if self._loop is None:
            self._loop = Loop()
        return self._loop

    def enter(self, lifespans: Iterable[Shared[Any]]) -> None:
        """Enter all of them. Raises LifespanFailed, and none is open then."""
        for shared in lifespans:
            try:
                self._enter(shared)
            except BaseException as error:
                self.leave_copy()
                self.close()
                raise LifespanFailed(_failure(shared, error)) from None

    def _enter(self, shared: Shared[Any]) -> None:
        manager = shared.manager()
        if is_async(manager):
            hosted = _Hosted(cast("AbstractAsyncContextManager[Any]", manager), self)
            value, close = hosted.made.result(), hosted.close
        else:
            plain: Any = manager
            value, close = plain.__enter__(), partial(plain.__exit__, None, None, None)
        self.leave_copy()
        shared.use(value)
        self._open.append((shared, close))

    def leave_copy(self) -> None:
        """End this process if code of the app has forked, and this is the copy: the original goes on."""
        if os.getpid() != self._pid:
            os._exit(0)

    def close(self, seconds: float = LEAST_TO_CLOSE) -> None:
        """Close all that are open. Where that takes longer than `seconds`, the process shows its stacks and ends."""
        if not self._open:
            return
        faulthandler.dump_traceback_later(max(LEAST_TO_CLOSE, seconds), exit=True)
        while self._open:
            shared, close = self._open.pop()
            try:
                close()
            except BaseException as error:
                self.leave_copy()
                told = f"lifespan '{shared.name}' raised\n\n{own_traceback(error)}"
                self._log.error("cannot close", worker=self._epoch, error=told)
            self.leave_copy()
            shared.drop()
        faulthandler.cancel_dump_traceback_later()


class _Hosted:
    """An async lifespan: one task enters it and closes it, as cancel scopes and task groups ask for."""

    def __init__(self, manager: AbstractAsyncContextManager[Any], process: Lifespans) -> None:
        self.made: Future[Any] = Future()
        self._ended: Future[None] = Future()
        self._process, self._loop, self._over = process, process.loop.loop, asyncio.Event()
        self._task: asyncio.Task[None] | None = None  # the loop holds tasks by weak references
        process.loop.start()
        self._loop.call_soon_threadsafe(self._begin, manager, context=Context())

    def _begin(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._task = self._loop.create_task(self._live(manager))

    async def _live(self, manager: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with manager as value:
                self._process.leave_copy()
                self.made.set_result(value)
                await self._over.wait()
        except BaseException as error:  # nobody but who waits here is to hear of it
            self._process.leave_copy()
            (self._ended if self.made.done() else self.made).set_exception(error)
        else:
            self._process.leave_copy()
            self._ended.set_result(None)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._ended.result()


def _failure(shared: Shared[Any], error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    return f"cannot enter lifespan '{shared.name}': it raised\n\n{own_traceback(error)}"
