"""A TCP proxy between taskq and a Redis, and what can happen to the bytes on their way.

    worker, producer  ---- request --->  Proxy  ---- request --->  Redis (a Unix socket)
                      <---- reply -----         <---- reply -----

It runs in a thread of its own. What is asked of it from outside (`reset`, `stall`, ...) is carried out in that thread;
each method returns when it is done. Every connection is one `Pipe`, which lives until either side closes it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

Way = Literal["request", "reply"]
Watcher = Callable[[bytes], object]

_RESET = struct.pack("ii", 1, 0)
_PORTION = 1 << 16


@dataclass(slots=True, eq=False)
class Trap:
    """Springs once, at the reply that has `pattern` in it, or at the reply to the request that has.

    So a request is carried out in any case. `spring` gets the reply, which does not arrive where the pipe is `cut`.
    """

    way: Way
    pattern: bytes
    cut: bool
    spring: Watcher = lambda _: None
    sprung: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Weather:
    """What befalls all bytes now. `delay`: seconds for each portion; `drip`: only so many bytes at a time."""

    delay: float = 0.0
    drip: int = _PORTION


class Proxy:
    """Listens on a port of loopback, and connects to the Unix socket `upstream`, which may be changed at any time."""

    def __init__(self, upstream: Path):
        self.upstream = upstream
        self.weather = Weather()
        self._traps: list[Trap] = []
        self._pipes: set[_Pipe] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.loop = asyncio.new_event_loop()
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._accepting: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._open)

    def close(self) -> None:
        self._call(self._refuse)
        self._call(self._drop_all)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    # Faults

    def reset(self) -> int:
        """Every connection ends with an RST to both sides. How many there were."""
        return self._call(self._drop_all)

    def half_open(self) -> int:
        """Redis loses every connection; the clients are not told, and get no answer any more."""
        return self._call(self._abandon_all)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """No byte gets through in either way, as when a cable is out; afterwards all that waited arrives."""
        self._call(self._flowing.clear)
        try:
            yield
        finally:
            self._call(self._flowing.set)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens: new connections are refused, and the old ones reset."""
        self._call(self._refuse)
        self._call(self._drop_all)
        try:
            yield
        finally:
            self._listener = _listen(self.port)
            self._call(self._open)

    @contextmanager
    def slow(self, weather: Weather) -> Iterator[None]:
        self.weather = weather
        try:
            yield
        finally:
            self.weather = Weather()

    @contextmanager
    def trap(self, trap: Trap) -> Iterator[Trap]:
        """Set a trap; it is taken away at the end, whether it sprang or not."""
        self._call(lambda: self._traps.append(trap))
        try:
            yield trap
        finally:
            self._call(lambda: self._traps.remove(trap) if trap in self._traps else None)

    def cut_some(self, way: Way, chance: Random) -> int:
        """Half of the connections are cut with the next bytes that go this way, of which only a part arrives."""
        return self._call(lambda: self._mark(way, chance))

    # In the proxy's thread

    def _call(self, do: Callable[[], object]) -> int:
        done: list[object] = []
        over = threading.Event()

        def act() -> None:
            done.append(do())
            over.set()

        self.loop.call_soon_threadsafe(act)
        if not over.wait(10):
            raise TimeoutError("the proxy's thread does not answer")
        return int(done[0]) if isinstance(done[0], int) else 0

    def _open(self) -> None:
        self._accepting = self.loop.create_task(self._accept(self._listener))

    def _refuse(self) -> None:
        self.loop.remove_reader(self._listener)  # also what is about to be called
        if self._accepting is not None:
            self._accepting.cancel()
        self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self.loop.sock_accept(listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe = _Pipe(self, client)
            self._pipes.add(pipe)
            pipe.start()

    def _drop_all(self) -> int:
        pipes = list(self._pipes)
        for pipe in pipes:
            pipe.drop()
        return len(pipes)

    def _abandon_all(self) -> int:
        pipes = list(self._pipes)
        for pipe in pipes:
            pipe.abandon()
        return len(pipes)

    def _mark(self, way: Way, chance: Random) -> int:
        marked = [pipe for pipe in self._pipes if chance.random() < 0.5]
        for pipe in marked:
            pipe.cut[way] = chance.random()
        return len(marked)

    async def passage(self) -> None:
        """Returns when bytes may pass."""
        await self._flowing.wait()
        if self.weather.delay:
            await asyncio.sleep(self.weather.delay)
            await self._flowing.wait()

    def seen(self, way: Way, data: bytes) -> Trap | None:
        """The trap that `data` springs; it is gone then."""
        for trap in self._traps:
            if trap.way == way and trap.pattern in data:
                self._traps.remove(trap)
                return trap
        return None

    def forget(self, pipe: _Pipe) -> None:
        self._pipes.discard(pipe)


class _Pipe:
    """One connection of a client, and its own to Redis. `cut`: by way, the share that still passes."""

    def __init__(self, proxy: Proxy, client: socket.socket):
        self._proxy, self._client = proxy, client
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.settimeout(0)
        self._tasks: list[asyncio.Task[None]] = []
        self._sprung: Trap | None = None
        self.cut: dict[Way, float] = {}

    def start(self) -> None:
        self._tasks = [self._proxy.loop.create_task(self._run())]

    async def _run(self) -> None:
        loop = self._proxy.loop
        try:
            await loop.sock_connect(self._server, str(self._proxy.upstream))
        except OSError:
            self.drop()
            return
        self._tasks += [loop.create_task(self._pump("request")), loop.create_task(self._pump("reply"))]

    async def _pump(self, way: Way) -> None:
        loop = self._proxy.loop
        source, target = (self._client, self._server) if way == "request" else (self._server, self._client)
        with suppress(OSError):
            while data := await loop.sock_recv(source, self._proxy.weather.drip):
                await self._proxy.passage()
                if not await self._deliver(way, data, target):
                    break
        self.drop()

    async def _deliver(self, way: Way, data: bytes, target: socket.socket) -> bool:
        """Whether the pipe goes on."""
        loop = self._proxy.loop
        share = self.cut.pop(way, None)
        if share is not None:
            await loop.sock_sendall(target, data[: int(len(data) * share)])
            return False
        self._sprung = self._sprung or self._proxy.seen(way, data)
        if way == "reply" and self._sprung is not None:
            trap, self._sprung = self._sprung, None
            trap.spring(data)
            trap.sprung.set()
            if trap.cut:
                return False
        await loop.sock_sendall(target, data)
        return True

    def abandon(self) -> None:
        """Close the server's side only, and read what the client sends into nothing."""
        for task in self._tasks:
            task.cancel()
        _hang_up(self._server)
        self._tasks = [self._proxy.loop.create_task(self._swallow())]

    async def _swallow(self) -> None:
        with suppress(OSError):
            while await self._proxy.loop.sock_recv(self._client, _PORTION):
                continue
        self.drop()

    def drop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for end in (self._client, self._server):
            _hang_up(end)
        self._proxy.forget(self)


def _hang_up(end: socket.socket) -> None:
    """Close with an RST where the kernel has one."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.settimeout(0)
    return listener
