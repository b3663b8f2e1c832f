"""Cables between namespaces: every packet passes through a thread here, which may drop it, hold it up, or mix it up.

    namespace A: tun 198.18.0.2  <--- packets --->  Network.run  <--- packets --->  tun 198.18.0.1 :namespace B

What `tc netem` and `ip link set down` do, without a kernel module, and silently: nobody is told that a cable is cut,
so both sides keep connections that are half open.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

TUN = Path("/dev/net/tun")
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_PACKET = 1 << 16


@dataclass(slots=True, eq=False)
class Cable:
    """What befalls the packets of one namespace, in both directions. Each field may be changed at any time.

    `cut`: all are dropped. `delay`, `jitter`: seconds, the second drawn for each packet, so that they overtake one
    another. `loss`: the share that is dropped. `dropped`: how many were.
    """

    tun: int
    cut: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    dropped: int = 0
    _seen: set[bytes] = field(default_factory=set)
    _forgotten: frozenset[bytes] = frozenset()

    def forget_connections(self) -> None:
        """From now on drop the packets of all connections that there are, as a firewall does that was restarted."""
        self._forgotten = frozenset(self._seen)

    def passes(self, packet: bytes, inwards: bool, chance: float) -> bool:
        connection = _connection(packet, inwards)
        self._seen.add(connection)
        if self.cut or chance < self.loss or connection in self._forgotten:
            self.dropped += 1
            return False
        return True


def _connection(packet: bytes, inwards: bool) -> bytes:
    """The port at this end of the cable, of an IPv4 packet with TCP in it."""
    start = (packet[0] & 15) * 4 + (2 if inwards else 0)
    return packet[start : start + 2]


class Network:
    """Carries packets between the namespaces that are plugged in. `seed` decides about losses and jitter."""

    def __init__(self, seed: int):
        self._chance = Random(seed)
        self._cables: dict[bytes, Cable] = {}
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._stop, self._stopped = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._stop, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def plug(self, namespace: str, device: str, address: str) -> Cable:
        """A new device in `namespace`, its packets carried to and from `address`; `start` comes after all of them."""
        cable = Cable(_open_tun(namespace, device))
        self._cables[socket.inet_aton(address)] = cable
        self._poll.register(cable.tun, select.POLLIN)
        return cable

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopped)
        if self._thread.ident is not None:
            self._thread.join(10)
        for file in (self._stop, *(cable.tun for cable in self._cables.values())):
            os.close(file)

    def _run(self) -> None:
        while True:
            for file, _ in self._poll.poll(self._until()):
                if file == self._stop:
                    return
                self._carry(os.read(file, _PACKET))
            self._deliver()

    def _until(self) -> float | None:
        """Milliseconds."""
        return max(0.0, self._under_way[0][0] - time.monotonic()) * 1000 if self._under_way else None

    def _carry(self, packet: bytes) -> None:
        ends = list(self._ends(packet))
        if len(ends) < 2 or not all(cable.passes(packet, into, self._chance.random()) for cable, into in ends):
            return
        late = sum(cable.delay + cable.jitter * self._chance.random() for cable, _ in ends)
        self._count += 1
        heapq.heappush(self._under_way, (time.monotonic() + late, self._count, ends[1][0].tun, packet))

    def _ends(self, packet: bytes) -> Iterator[tuple[Cable, bool]]:
        """The cables that an IPv4 packet leaves and enters. What is for nobody, or is no IPv4, has fewer."""
        if packet[0] >> 4 == 4:
            for address, inwards in ((packet[12:16], False), (packet[16:20], True)):
                if address in self._cables:
                    yield self._cables[address], inwards

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, tun, packet = heapq.heappop(self._under_way)
            os.write(tun, packet)


def _open_tun(namespace: str, device: str) -> int:
    """A device of `namespace`, as a file that gives and takes its packets. The file may be used from anywhere."""
    opened: list[int] = []

    def enter_and_open() -> None:
        with Path(f"/run/netns/{namespace}").open("rb") as target:
            if ctypes.CDLL(None, use_errno=True).setns(target.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
        file = os.open(TUN, os.O_RDWR)
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN_NO_PI))
        opened.append(file)

    thread = threading.Thread(target=enter_and_open)  # a namespace is entered by one thread, and for good
    thread.start()
    thread.join()
    if not opened:
        raise OSError(f"cannot make the device {device} in the namespace {namespace}")
    return opened[0]
