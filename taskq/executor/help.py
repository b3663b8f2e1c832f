"""An executor inside of a job: its worker must not wait for a slot to run what the job waits for.

Who waits for futures (`as_completed`, `wait`) does so where nobody sees it. So a thread waits beside, as the job would
wait for the handles: that has the worker run them, one at a time, whatever slots there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import cast

from taskq.job import running
from taskq.results import Mailbox
from taskq.waits import Awaited, Place, Wait


class Helper:
    """Made where the executor is made. Outside of jobs it does nothing."""

    def __init__(self) -> None:
        self._place = cast("Place | None", running.get())
        self._lock = threading.Lock()
        self._wait: Wait | None = None

    def wait_for(self, mailbox: Mailbox, jobs: Sequence[Awaited]) -> None:
        """These have been sent."""
        if self._place is None:
            return
        with self._lock:
            if self._wait is not None:
                self._wait.add(jobs)
                return
            self._wait = Wait(mailbox, jobs)
        threading.Thread(target=self._work, args=(self._place, self._wait), name="taskq-helper", daemon=True).start()

    def _work(self, place: Place, wait: Wait) -> None:
        with wait:
            while not self._is_over(wait):
                deque(place.wait(wait, lambda: None, lambda: None), maxlen=0)

    def _is_over(self, wait: Wait) -> bool:
        with self._lock:
            if wait.over:
                self._wait = None
            return wait.over
