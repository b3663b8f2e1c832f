"""The delivery protocol, simulated: the real scripts on a real server, and everybody who talks to it played by chance.

    loop        simulated time, processes that can be stopped and killed, and the actors that go on in them
    network     carries calls to the server: late, in part, twice or not at all; doorbells; the server's outages
    child       a worker process, as `taskq_workers.exchange` has it
    supervisor  a host: heartbeats, reaping, promotion, as `taskq_workers.supervisor` has it
    others      producers, operators, clients that wait for outcomes
    chaos       kills, stops, freezes, outages, jumps of the clock
    judge       what must hold, whatever happens: it knows the answers of Redis, and nothing of how they come about
    play        one play: some thousand steps of turmoil, then calm until everything has its outcome
    mutants     the protocol with one rule broken: the judge must see it

An actor is a generator. Where it yields it waits, for a reply or for a time, and anything may happen meanwhile. All
chance comes from one seed, so a play that fails can be seen again: `python -m tests.simulation --seed N`.

Not simulated: writes that Redis loses, threads, signals, time limits. `tests/process` and `tests/faults` have those for
real.
"""
