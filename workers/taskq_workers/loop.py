"""The event loop of a process: in a thread of its own, which starts when it is first needed."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from taskq_workers.fatal import or_die


class Loop:
    """Turns until it is closed. `loop` is asyncio's."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._open = True
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have it turn; more than once is once."""
        if self._thread is None:
            self._thread = threading.Thread(target=or_die, args=(self._turn,), name="taskq-async", daemon=True)
            self._thread.start()

    def _turn(self) -> None:
        """A job can stop the loop, or have a task of its own exit: that ends neither the loop nor the other jobs."""
        while self._open:
            with suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_forever()

    def close(self) -> None:
        """Let the loop and its thread end."""
        self._open = False
        self.loop.call_soon_threadsafe(self.loop.stop)
