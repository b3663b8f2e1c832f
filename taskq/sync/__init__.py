"""Locks, semaphores and barriers across processes and hosts.

    lock, barrier   what an application uses; what it does is steps (steps.py), for threads and coroutines
    stakes          what one process holds and waits for: the book, and two threads that look after it
      book          tickets, and the parties under which Redis knows this process
      grants        waits, in one BLPOP for all who wait here, for places that become free
      renewal       renews leases, gives back what was abandoned, and compares the book with Redis

A place is taken or handed on by one script. Who holds it is a party: a worker process, which lives as long as its
supervisor holds its lease; or any other process, which has a lease of its own.
"""
