"""A soak: mixed work for an hour, and every few seconds a look at what could grow. `python -m tests.soak --help`."""
