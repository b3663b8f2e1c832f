"""What each gauge may do in the second half of a soak.

Chosen from runs of 5 minutes without a leak: at least twice the largest growth and the largest spike that were seen,
rounded up. They do not depend on how long the soak is: what is constant gains nothing in an hour either.
"""

from __future__ import annotations

import re

from tests.soak.verdict import Tolerance

_BY_GAUGE = {
    r"recycled: (pss|rss) MB": Tolerance(2.0, 12.0, "a sawtooth: the largest of those that live at the time"),
    r".*: (pss|rss) MB": Tolerance(1.0, 8.0),
    r"recycled: processes": Tolerance(0.5, 1.0, "one more while a successor starts"),
    r".*: (files|sockets)": Tolerance(2.0, 8.0),
    r".*: threads": Tolerance(1.0, 4.0),
    r"redis: memory MB": Tolerance(1.0, 6.0),
    r"redis: clients": Tolerance(2.0, 10.0),
    r"redis: jobs": Tolerance(40.0, 400.0),
    r"redis: jobs held": Tolerance(20.0, 400.0),
    r"redis: keys result": Tolerance(60.0, 600.0),
    r"redis: keys .*": Tolerance(2.0, 12.0),
}
STATS = "redis: keys stats"


def tolerance_of(gauge: str, minutes: float) -> Tolerance:
    """For a second half of `minutes`."""
    if gauge == STATS:
        return Tolerance(minutes + 1, minutes + 2, "one for each minute, kept for a day")
    return next(tolerance for pattern, tolerance in _BY_GAUGE.items() if re.fullmatch(pattern, gauge))
