"""`taskq worker`: puts a supervisor and the lives of its children together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from taskq import __version__, log
from taskq.broker import scripts
from taskq.broker.opening import open_broker
from taskq.clock import SYSTEM_CLOCK
from taskq.config import Sourced, WorkerSettings, mask
from taskq.errors import NotPermitted, TaskqError
from taskq_workers.bell import Bell
from taskq_workers.board import Board
from taskq_workers.channel import Channel, Message
from taskq_workers.child import Assignment, rows_for, run_child
from taskq_workers.courier import Courier
from taskq_workers.crew import Berth, Crew, Life
from taskq_workers.lines import tell_trouble
from taskq_workers.signals import Signals
from taskq_workers.supervisor import Lines, Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What `taskq worker` was asked for. `url` is None unless a flag overrides the app's own."""

    app: Sourced
    url: str | None = field(repr=False)
    settings: WorkerSettings
    log_format: str = "auto"
    log_level: str = "info"


def run_worker(order: Order) -> int:
    """Run a worker until it is told to stop; the answer is its exit code. Only for a process without other threads."""
    log.configure(order.log_format, order.log_level)
    scripts.preload()  # a job may spoil the imports of its process, or forbid it files
    name = f"{os.uname().nodename}-{os.getpid()}-{os.urandom(3).hex()}"
    crew = Crew(name, lambda solo: sum(map(len, rows_for(order.settings, solo).values())), _life(order, name))
    supervisor = Supervisor(
        order.settings,
        crew,
        Signals(),
        SYSTEM_CLOCK,
        log.logger(),
        lambda introduction: greet(order, introduction, supervisor.refused),
    )
    return supervisor.run()


def _life(order: Order, name: str) -> Life:
    def life(berth: Berth, board: Board, channel: Channel) -> int:
        assignment = Assignment(
            app=order.app.value,
            url=order.url,
            settings=order.settings,
            epoch=berth.epoch,
            supervisor=name,
            number=berth.number,
            log_jobs=order.log_level in ("debug", "info"),
            solo=berth.solo,
        )
        return run_child(assignment, board, channel, log.logger())

    return life


def greet(order: Order, introduction: Message, refused: Callable[[TaskqError], object]) -> Lines:
    """Say what this worker is, and make the supervisor's lines to the Redis that its children named.

    `refused` gets the error where Redis does not even let its user begin.
    """
    announce(order, introduction)
    broker = open_broker(introduction["url"], introduction["namespace"])

    def troubled(error: TaskqError | None) -> None:
        if isinstance(error, NotPermitted) and not courier.proven:
            refused(error)
        else:
            tell_trouble(log.logger(), "supervisor", error)

    courier = Courier(broker, SYSTEM_CLOCK, order.settings.patience, troubled)
    limits = {task["name"]: task["concurrency"] for task in introduction["tasks"] if "concurrency" in task}
    return Lines(courier, Bell(broker, order.settings.names, SYSTEM_CLOCK), limits)


def announce(order: Order, introduction: Message) -> None:
    """A banner on a terminal, one log line elsewhere."""
    settings, tasks, info = order.settings, introduction["tasks"], introduction["redis"]
    slots = f"{settings.procs} procs x ({settings.threads} io + 1 cpu + {settings.coroutines} async)"
    redis = [mask(introduction["url"]), info.get("redis_version", "?"), info.get("maxmemory_policy", "?")]
    redis.append("aof on" if info.get("aof_enabled") == "1" else "aof off")
    if not log.is_for_people(order.log_format):
        fields = {
            "version": __version__,
            "app": order.app.value,
            "redis": " ".join(redis),
            "queues": ",".join(settings.queues),
        }
        log.logger().info("starting", slots=slots, tasks=len(tasks), **fields)
        return
    lines = [
        f" taskq {__version__}   {order.app.value}  (from {order.app.source})",
        f" redis     {'   '.join(redis)}",
        f" queues    {' . '.join(settings.queues)}          slots  {slots}",
        *_task_lines(tasks),
    ]
    print("\n".join(map(log.plain, lines)), file=sys.stderr, flush=True)


def _task_lines(tasks: list[Message]) -> list[str]:
    width = max((len(task["name"]) for task in tasks), default=0)
    lines = []
    for index, task in enumerate(sorted(tasks, key=lambda task: str(task["name"]))):
        limit = f"   timeout {task['timeout']:g}s" if task["timeout"] else ""
        head = " tasks    " if index == 0 else "          "
        lines.append(
            f"{head} {task['name']:{width}}   {task['queue']}   {task['lane']:5}   retries {task['retries']}{limit}"
        )
    return lines or [" tasks     none: is the app the right one?"]
