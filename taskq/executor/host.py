"""What an executor needs of its app."""

from __future__ import annotations

from typing import Any, Protocol

from taskq.broker.broker import Broker
from taskq.results import Mailbox
from taskq.tasks import Carrier, Task


class Host(Carrier, Protocol):
    """The app of an executor."""

    executor_modules: tuple[str, ...]
    tasks: dict[str, Task[..., Any]]

    @property
    def broker(self) -> Broker: ...
    @property
    def mailbox(self) -> Mailbox: ...
    def register_exceptions(self, *types: type[BaseException]) -> None: ...
