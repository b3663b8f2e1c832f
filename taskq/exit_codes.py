"""Exit codes of `taskq`, and from 90 on those of a worker process towards its supervisor."""

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
BAD_APP = 4
NOT_FOUND = 5
TIMED_OUT = 6
GAVE_BACK = 75
FENCED = 90
ORPHANED = 91
