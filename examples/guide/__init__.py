"""The concurrency guide's kinds of work, done by taskq: `make demo`."""
