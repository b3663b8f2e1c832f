"""The worker: a supervisor on each host, processes under it, and threads, a cpu lane and an event loop in each."""
