"""The only module that reads a clock. Everything else is given one."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`now`: seconds since the epoch, to be shown and stored. `monotonic`: seconds since whenever, to measure with."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """This machine's clocks. On Linux its processes share one `monotonic`."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


SYSTEM_CLOCK = SystemClock()
