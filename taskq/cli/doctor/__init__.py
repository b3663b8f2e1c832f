"""`taskq doctor`: what an operator can get wrong.

    facts        what is known, as one frozen record; `gather` asks for it
    finding      what a check says
    server       checks of the server's version, role, memory and clients
    keeping      checks of what survives a crash
    reaching     checks of the way to the server, and of the clocks
    fleet        checks of workers and queues
    command      asks, checks, shows

A check is a pure function of the facts. What is not known is said to be unknown, never to be well.
"""
