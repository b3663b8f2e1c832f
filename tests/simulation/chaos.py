"""What goes wrong: one fault after another, each drawn by chance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from tests.simulation.child import LEASE, Child
from tests.simulation.judge import Judge
from tests.simulation.loop import Acts, Loop, Process
from tests.simulation.network import Network
from tests.simulation.supervisor import Host

HOUR = 3600.0
APART = 60.0
"""Seconds between outages. Several in one lease, each too short for the outage guard, would make it run out."""
TROUBLE = 0.01
REAP_STEP = 100
AMBUSH = 60.0
"""Seconds that chance waits for a child which holds that many."""
REAPED = (0.002, 0.01)
"""Seconds from a death until the first call of the reaper has been carried out, and not the last, mostly."""


class Chaos:
    """Acts on `hosts`, a fault every `pause` seconds or so. `found` makes a new host."""

    def __init__(self, network: Network, judge: Judge, hosts: list[Host], found: Callable[[], Host], pause: float):
        self.loop: Loop = network.loop
        self.chance: Random = network.loop.chance
        self.network, self.judge, self.hosts = network, judge, hosts
        self.over = False
        self._found, self._pause = found, pause
        self._no_outage_before = 0.0
        self._sky = Process(network.loop, "sky")
        self._sky.start(self._acts())
        network.trouble = TROUBLE

    def _acts(self) -> Acts:
        faults = {
            self.child_dies: 6,
            self.child_stops: 3,
            self.child_retires: 2,
            self.reaper_dies: 1.5,
            self.supervisor_dies: 1.5,
            self.supervisor_stops: 1,
            self.host_vanishes: 1.5,
            self.host_freezes: 1.5,
            self.host_closes: 1,
            self.network_is_bad: 3,
            self.server_is_away: 1,
            self.clock_jumps: 1,
        }
        while True:
            yield self._sky.sleep(self.chance.expovariate(1 / self._pause))
            if self.over:
                return
            (fault,) = self.chance.choices(list(faults), list(faults.values()))
            self.loop.tell("chaos:", fault.__name__.replace("_", " "))
            fault()

    def _child(self) -> Child | None:
        children = [child for host in self.hosts for child in host.children if child.process.alive]
        return self.chance.choice(children) if children else None

    def _host(self) -> Host:
        """A living one; rather one that is reaping."""
        self._bury()
        busy = [host for host in self.hosts if host.reaping]
        return self.chance.choice(busy * 3 + self.hosts)

    def _bury(self) -> None:
        self.hosts[:] = [host for host in self.hosts if host.process.alive]
        while len(self.hosts) < 2:
            self.hosts.append(self._found())

    def _later(self, seconds: float, deed: Callable[[], object]) -> None:
        self.loop.at(seconds, deed)

    # Of children

    def child_dies(self) -> None:
        if child := self._child():
            self.loop.tell("chaos: it is", child.epoch)
            child.process.kill()

    def child_stops(self) -> None:
        if child := self._child():
            self._stop([child.process], self.chance.choice([1.0, 10.0, LEASE + 5, 3 * LEASE]))

    def _stop(self, processes: list[Process], seconds: float) -> None:
        for process in processes:
            process.stop()
        self.loop.tell("chaos: stopped for", seconds, "s", *(process.name for process in processes))
        self._later(seconds, partial(self._go_on, processes))

    def _go_on(self, processes: list[Process]) -> None:
        for process in processes:
            if process.stopped:
                self.judge.harmed(process.name)
                self.loop.tell("chaos: goes on", process.name)
                process.go_on()

    def child_retires(self) -> None:
        host = self._host()
        if host.children and host.process.well:
            host.retire(self.chance.choice(host.children))

    # Of hosts

    def supervisor_dies(self) -> None:
        """Its children go with it; another host comes."""
        self._lose(self._host(), vanished=False)

    def host_vanishes(self) -> None:
        self._lose(self._host(), vanished=True)

    def _lose(self, host: Host, vanished: bool) -> None:
        self.loop.tell("chaos: it is", host.name, "reaping" if host.reaping else "")
        host.kill(vanished)
        self._later(self.chance.uniform(0.1, LEASE), self._bury)

    def reaper_dies(self) -> None:
        """A child dies that holds more than a reaper takes back in one call, and its supervisor when it is at that."""
        self._sky.start(self._ambush())

    def _ambush(self) -> Acts:
        until = self.loop.now + AMBUSH
        while self.loop.now < until and not self.over:
            for host in [host for host in self.hosts if host.process.well]:
                full = [child for child in host.children if child.process.well and len(child.held) > REAP_STEP]
                if full:
                    self.loop.tell("chaos: it is", full[0].epoch)
                    full[0].process.kill()
                    self._later(self.chance.uniform(*REAPED), partial(self._lose, host, vanished=False))
                    return
            yield self._sky.sleep(0.1)

    def supervisor_stops(self) -> None:
        self._stop([self._host().process], self.chance.choice([5.0, LEASE + 5, 2 * LEASE]))

    def host_freezes(self) -> None:
        self._stop(self._host().processes(), 3 * LEASE)

    def host_closes(self) -> None:
        host = self._host()
        if host.process.well:
            host.close()
            self._later(1.0, self._bury)

    # Of the network and the server

    def network_is_bad(self) -> None:
        self.network.trouble = self.chance.choice([0.1, 0.3])
        self._later(self.chance.uniform(0.5, 5.0), self._network_is_usual)

    def _network_is_usual(self) -> None:
        self.network.trouble = 0.0 if self.over else TROUBLE

    def server_is_away(self) -> None:
        if self.loop.now < self._no_outage_before:
            return
        seconds = self.chance.choice([2.0, 12.0, 60.0])
        self._no_outage_before = self.loop.now + seconds + APART
        self.loop.tell("chaos: the server is away for", seconds, "s")
        self.judge.all_harmed()
        self.network.go_down()
        self._later(seconds, self._server_is_back)

    def _server_is_back(self) -> None:
        self.loop.tell("chaos: the server is back")
        self.judge.all_harmed()
        self.network.come_back()

    def clock_jumps(self) -> None:
        clock = self.network.clock
        clock.skew = self.chance.choice([-HOUR, HOUR]) if clock.skew == 0 else 0.0
        self.judge.clock_jumped()
        self.loop.tell("chaos: the server's clock jumps to", clock.now())

    # The end

    def end(self) -> None:
        """Everything goes on, and nothing more goes wrong. What waits for a time that the clock left behind is due."""
        self.over = True
        self.network.trouble, self.network.clock.skew = 0.0, 2 * HOUR
        if self.network.down:
            self._server_is_back()
        self._bury()
        for host in self.hosts:
            self._go_on(host.processes())
