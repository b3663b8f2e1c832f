"""What the jobs of a process share: made once in each worker process, before its first job, closed after its last.

@app.lifespan                      import ----> enter, in the order of their declaration ----> register, claim jobs
def database():                    last job ended ----> close, in reverse ----> exit
    with connect() as connection:
        yield connection           database() is that connection, in every job of the process
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Generic, TypeAlias, TypeVar, cast

from taskq.declaration import home, module_name
from taskq.errors import ConfigError, NotMade, shown

__all__ = ["Makes", "Manager", "Shared", "declare_lifespan"]

T = TypeVar("T")
Makes: TypeAlias = Iterator[T] | AsyncIterator[T] | AbstractContextManager[T] | AbstractAsyncContextManager[T]
"""What a function that is a lifespan returns: it yields once, or is a context manager."""
Manager: TypeAlias = AbstractContextManager[T] | AbstractAsyncContextManager[T]


class Shared(Generic[T]):
    """What the jobs of a process share. Made by `@app.lifespan`; called in a job, it gives what was yielded."""

    __slots__ = ("_made", "_make", "name")

    def __init__(self, make: Callable[[], Makes[T]], name: str):
        self._make, self.name = make, name
        self._made: tuple[T] | None = None

    def __call__(self) -> T:
        """What was made in this process. Raises NotMade outside of worker processes, where nothing is."""
        if self._made is None:
            raise NotMade(
                f"cannot give {shown(self.name)}: it was not made in this process\n"
                f"  hint: worker processes make it before their first job; elsewhere: {self.name}.use(...)"
            )
        return self._made[0]

    def use(self, value: T) -> None:
        """Let it be `value` in this process, which nobody closes: in a test, or where tasks are called directly."""
        self._made = (value,)

    def drop(self) -> None:
        """It is not there any more."""
        self._made = None

    def manager(self) -> Manager[T]:
        """The context manager that makes and closes it, once. Runs code of the app, which may raise anything."""
        if inspect.isgeneratorfunction(self._make):
            return contextmanager(self._make)()
        if inspect.isasyncgenfunction(self._make):
            return asynccontextmanager(self._make)()
        made: Any = self._make()
        if is_async(made) or (hasattr(made, "__enter__") and hasattr(made, "__exit__")):
            return cast("Manager[T]", made)
        raise ConfigError(
            f"cannot enter lifespan '{self.name}': it returned {shown(made)}\n"
            "  hint: yield what is to be shared, or return a context manager"
        )

    def same_home(self, other: Shared[Any]) -> bool:
        """Are both of one function, whose module was loaded again?"""
        return home(self._make) == home(other._make)

    def __repr__(self) -> str:
        return f"<Shared {self.name}>"


def is_async(manager: object) -> bool:
    """Is it entered by `async with`? What can be entered both ways is."""
    return hasattr(manager, "__aenter__") and hasattr(manager, "__aexit__")


def declare_lifespan(func: Callable[[], Makes[T]]) -> Shared[T]:
    """`func` as a lifespan. Raises ConfigError for what cannot be one."""
    if not callable(func) or not hasattr(func, "__qualname__"):
        raise ConfigError(f"cannot make a lifespan of {shown(func)}: it is not a function\n  hint: def ...: yield ...")
    name = f"{module_name(func)}.{func.__qualname__}"
    if inspect.iscoroutinefunction(func):
        raise ConfigError(f"cannot make a lifespan of '{name}': it returns once\n  hint: yield what is to be shared")
    try:
        inspect.signature(func).bind()
    except TypeError as error:
        raise ConfigError(
            f"cannot make a lifespan of '{name}': {error}\n  hint: it is called without arguments"
        ) from None
    except ValueError:  # a function of C that does not tell its parameters
        pass
    return Shared(func, name)
