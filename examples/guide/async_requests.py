"""Thousands of requests at the same time: coroutines on the event loops of a worker.

    python -m examples.guide.async_requests

One after another they would take 100 s. The server is in this program, on the same event loop that waits for results.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

REQUESTS, LATENCY = 2_000, 0.05
app = TaskQ()


@app.task
async def ask(port: int, page: int) -> int:
    """The status of `page` on this machine's server at `port`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{page} HTTP/1.0\r\n\r\n".encode("ascii"))
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server far away: it answers after a while, and has no page 13."""
    request = await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(LATENCY)
    writer.write(b"HTTP/1.0 404 Not Found\r\n\r\n" if request.startswith(b"GET /13 ") else b"HTTP/1.0 200 OK\r\n\r\n")
    await writer.drain()
    writer.close()


async def main() -> None:
    async with await asyncio.start_server(answer, "127.0.0.1", backlog=1024) as server:
        port = server.sockets[0].getsockname()[1]
        began = time.monotonic()
        jobs = await asyncio.gather(*[ask.aenqueue(port, page) for page in range(REQUESTS)])
        statuses = Counter(await app.agather(jobs, timeout=60))
        print(f"{dict(statuses)}, in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    with beside_a_worker(app, "examples.guide.async_requests", **{"async": 200}):
        asyncio.run(main())
