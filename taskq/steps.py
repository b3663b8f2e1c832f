"""What is done alike in threads and in coroutines, as steps: calls to carry out and turns to wait for.

`walk` takes them in a thread, `awalk` in a coroutine. Wherever that is interrupted, the steps hear of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, NamedTuple, Protocol, TypeVar

from taskq.broker.call import Call

T = TypeVar("T")


class Office(Protocol):
    """Who carries calls to Redis."""

    def carry(self, call: Call[T]) -> T: ...
    def acarry(self, call: Call[T]) -> Awaitable[T]: ...


class Wait(NamedTuple):
    """A step: wait until the turn has come. It is answered by whether it has."""

    turn: Future[int]
    timeout: float | None


Steps = Generator[Call[Any] | Wait, Any, T]


def walk(office: Office, steps: Steps[T]) -> T:
    act: Callable[[Any], Call[Any] | Wait] = steps.send
    answer: Any = None
    while True:
        try:
            step = act(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            answer, act = (_wait(step) if isinstance(step, Wait) else office.carry(step)), steps.send
        except BaseException as error:
            answer, act = error, steps.throw


async def awalk(office: Office, steps: Steps[T]) -> T:
    """`walk` for coroutines."""
    act: Callable[[Any], Call[Any] | Wait] = steps.send
    answer: Any = None
    while True:
        try:
            step = act(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            answer, act = (await (_await(step) if isinstance(step, Wait) else office.acarry(step))), steps.send
        except BaseException as error:
            answer, act = error, steps.throw


def _wait(step: Wait) -> bool:
    try:
        step.turn.exception(step.timeout)
    except FutureTimeout:
        return False
    return True


async def _await(step: Wait) -> bool:
    waiter = asyncio.wrap_future(step.turn)
    done, _ = await asyncio.wait([waiter], timeout=step.timeout)
    if done:
        waiter.exception()  # asyncio logs errors that nobody looked at
    return bool(done)
