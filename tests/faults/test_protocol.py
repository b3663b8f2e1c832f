"""The rules of the delivery protocol, each by the one fault that needs it; `mutants` says which guards which."""

from __future__ import annotations

import signal

from taskq.broker.broker import Broker
from taskq.broker.scripts import load
from tests.faults import jobs
from tests.faults.proxy import Trap
from tests.faults.site import Site, pass_time, settle, signal_all
from tests.support.census import ask

LEASE = 1.0
SHORT = ("--procs", "1", "--threads", "4", "--async", "4", "--lease", str(LEASE))
WAIT = 15


def known(site: Site, script: str) -> bytes:
    """Have the server know a script; what stands in a request for it."""
    ask(site.broker, "SCRIPT", "LOAD", load(script).source)
    return load(script).sha.encode()


def test_an_enqueue_whose_reply_was_lost_stores_its_job_once(site: Site) -> None:
    proxy = site.proxy()
    jobs.app.use(Broker(proxy.url))
    known(site, "enqueue")
    with proxy.trap(Trap("request", b"token", cut=True)) as trap:
        job = jobs.quick.enqueue("token")
        assert trap.sprung.is_set()
    host = site.ready(*SHORT, "--burst")
    assert job.result(WAIT) == site.executions("token")[0].name
    assert host.worker.end() == 0
    assert len(site.executions("token")) == 1
    settle(site)


def test_jobs_of_a_claim_whose_reply_was_lost_run_all_the_same(site: Site) -> None:
    host = site.ready(*SHORT)
    with host.proxy.trap(Trap("reply", b"token", cut=True)) as trap:
        job = jobs.quick.enqueue("token")
        assert job.result(WAIT) == site.executions("token")[0].name
        assert trap.sprung.is_set()
    assert len(site.executions("token")) == 1
    settle(site)


def test_who_waits_is_told_though_the_news_was_lost_on_its_way(site: Site) -> None:
    proxy = site.proxy()
    jobs.app.use(Broker(proxy.url))
    site.ready(*SHORT)
    job = jobs.nap.enqueue("token", 0.3)
    with proxy.trap(Trap("reply", job.raw, cut=True)) as trap:
        assert job.result(10) == site.executions("token")[0].name
        assert trap.sprung.is_set()


def test_who_reaps_may_die_midway_and_the_next_goes_on(site: Site) -> None:
    """A host with 200 running jobs is gone. Who takes them back, 100 in one call, dies after the first."""
    victim = site.ready("--procs", "1", "--threads", "200", "--lease", str(LEASE))
    many = jobs.nap.enqueue_many([(f"token-{n}", 0.5) for n in range(200)])
    first_result = many[0]
    reaper = site.ready(*SHORT, "--queues", "other")
    with reaper.proxy.trap(Trap("request", known(site, "reap"), cut=True, spring=lambda _: reaper.kill())) as trap:
        victim.kill()
        assert trap.sprung.wait(WAIT)
    site.ready("--procs", "1", "--threads", "200", "--lease", str(LEASE))
    assert first_result.result(WAIT)
    assert len(jobs.app.gather(many, WAIT)) == 200
    settle(site)


def test_nobody_is_declared_dead_for_an_outage_longer_than_the_lease(site: Site) -> None:
    """The first heartbeat after it comes from one host: it finds the leases of the other run out."""
    one, other = site.ready(*SHORT, "--queues", "one"), site.ready(*SHORT, "--queues", "other")
    naps = [jobs.nap.options(queue=queue).enqueue(queue, 4.0) for queue in ("one", "other")]
    site.wait_for(2)
    with other.proxy.refusing():
        with one.proxy.refusing():
            site.server.kill()
            pass_time(2 * LEASE)
            site.server.start()
            beat = known(site, "heartbeat")
        with one.proxy.trap(Trap("request", beat, cut=False)) as trap:
            assert trap.sprung.wait(WAIT)
    assert jobs.app.gather(naps, WAIT) == [site.executions(queue)[-1].name for queue in ("one", "other")]
    assert len(site.executions()) == 2
    settle(site)


def test_a_frozen_host_is_handed_no_job(site: Site) -> None:
    """Its connection still waits at the doorbell, with a claim behind it, when its epoch is long forgotten."""
    host, reaper = site.ready(*SHORT), site.ready(*SHORT, "--queues", "other")
    with reaper.proxy.trap(Trap("request", known(site, "reap"), cut=False)) as trap:
        jobs.quick.enqueue("before").result(WAIT)
        with host.frozen():
            assert trap.sprung.wait(WAIT)
            job = jobs.quick.enqueue("token")
            site.ready(*SHORT)
            assert job.result(WAIT) == site.executions("token")[0].name
    settle(site)


def test_a_host_that_was_frozen_for_three_leases_changes_nothing_when_it_is_back(site: Site) -> None:
    """Its process writes an outcome before it hears that it was declared dead: the news was cut on its way."""
    host = site.ready(*SHORT)
    job = jobs.nap.enqueue("token", 3 * LEASE)
    site.wait_for(1)
    with host.frozen() as children, host.proxy.trap(Trap("reply", b"fenced", cut=True)) as trap:
        heir = site.ready(*SHORT)
        pass_time(3 * LEASE)
        signal_all(children, signal.SIGCONT)
        assert host.worker.wait_for("nap", WAIT)["outcome"] == "dropped"
        assert trap.sprung.wait(WAIT)
    assert job.result(WAIT) == site.executions("token")[1].name
    assert heir.worker.wait_for("nap", WAIT)["outcome"] == "ok"
    settle(site)
