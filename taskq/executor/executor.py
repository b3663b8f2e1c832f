"""The executor: `concurrent.futures.Executor`, to the letter of its documentation, over a TaskQ."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import chain
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack, cast, get_args, overload

from taskq.declaration import Lane
from taskq.errors import ConfigError, shown
from taskq.executor.chunks import Chunk, cut
from taskq.executor.dispatch import Dispatch
from taskq.executor.functions import Functions
from taskq.executor.future import JobFuture, failed
from taskq.executor.host import Host
from taskq.tasks import draft

P = ParamSpec("P")
T = TypeVar("T")


if sys.version_info >= (3, 14):

    class Newer(TypedDict, total=False):
        """What newer Pythons let `map` have."""

        buffersize: int | None
else:

    class Newer(TypedDict):
        """Nothing that newer Pythons let `map` have."""


class TaskQExecutor(Executor):
    """Runs calls as jobs of an app; made by `app.executor()`, which says what it takes."""

    def __init__(self, host: Host, max_workers: int | None = None, *, pool: Lane | None = None) -> None:
        if max_workers is not None and not max_workers > 0:
            raise ConfigError(f"max_workers is {shown(max_workers)}\n  hint: at least 1, or None for no bound")
        if pool is not None and pool not in get_args(Lane):
            raise ConfigError(f"pool of an executor is {shown(pool)}\n  hint: 'io', 'cpu' or 'async'")
        self._host = host
        self._functions = Functions(host, pool)
        self._dispatch = Dispatch(host, max_workers)

    @overload
    def submit(self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call `fn(*args, **kwargs)`; returns at once with a future of what comes of it.

        The arguments are taken as they are now. Nothing is raised for them: what keeps a call from being sent
        (NotSerializable, BadArguments, ConfigError, TooLarge; where Redis is lost, BrokerError) is in the future, as is
        what comes of a job (see `Job.result`). Raises RuntimeError after `shutdown`.
        """
        self._dispatch.check_open()
        try:
            sketch = draft(self._functions.task_for(fn), args, kwargs)
            self._host.mailbox.listen()
        except Exception as error:
            return failed(error)
        future: JobFuture[Any] = JobFuture(self._dispatch, self._host, sketch)
        self._dispatch.add(future)
        return future

    @overload
    def map(
        self,
        fn: Callable[..., Coroutine[Any, Any, T]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **newer: Unpack[Newer],
    ) -> Iterator[T]: ...
    @overload
    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **newer: Unpack[Newer],
    ) -> Iterator[T]: ...
    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **newer: Any,
    ) -> Iterator[Any]:
        """The results of `fn` for each tuple of arguments that the iterables give, in order.

        With a `chunksize` above 1 one job makes that many calls, one after another: far cheaper where calls are short.
        Where one of them raises, that is what stands for its whole chunk. `timeout`: seconds from now; a result that is
        not there by then is a TimeoutError. What a call raises is raised when it would be its result's turn. Then, or
        when the iterator is closed, those that have not started are cancelled. `buffersize=` where Python has it.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout, **newer)
        chunk = cast("Callable[..., list[Any]]", Chunk(fn))
        parts = super().map(chunk, cut(zip(*iterables, strict=False), chunksize), timeout=timeout, **newer)
        return chain.from_iterable(parts)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. `wait`: return when all futures are done; else the program ends no sooner than that.

        `cancel_futures`: cancel those that no worker has taken.
        """
        self._dispatch.close(cancel=cancel_futures)
        if wait:
            self._dispatch.join()
