"""What stands in Redis, read raw: a census of one namespace, taken without any of the broker's scripts.

Every key must be a row of the data model, and of the row's type. `one_place` says what is wrong with a census: it
holds whatever was done before, by whom, and whatever was lost on the way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import MODEL, member_id
from taskq.broker.link import Link, values

_READERS: dict[str, tuple[Any, ...]] = {
    "list": ("LRANGE", 0, -1),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "string": ("GET",),
}
Census = dict[str, dict[str, Any]]
"""By row of the model, then by what follows the row's suffix ("" for rows of one key): the value, as Python has it."""


def ask(broker: Broker, *words: Any) -> Any:
    """The reply to one command."""
    return broker.run(_command(*words))


def _command(*words: Any) -> Call[Any]:
    return Call(words[0], words[1:], lambda reply: reply)


def take_census(broker: Broker, link: Link | None = None) -> Census:
    """Every key of the broker's namespace with its value. Fails where a key is not in the model, or not of its type.

    Who takes many passes a `link` for them.
    """
    if link is None:
        link = Link(broker)
        try:
            return take_census(broker, link)
        finally:
            link.close()
    (found,) = values(link.exchange(_command("KEYS", broker.prefix + b"*")))
    rows = [row_of(key[len(broker.prefix) :]) for key in found]
    readers = [_READERS[MODEL[row].type] for row, _ in rows]
    reads = [_command(command, key, *rest) for key, (command, *rest) in zip(found, readers, strict=True)]
    census: Census = {row: {} for row in MODEL}
    for (row, rest), reply in zip(rows, values(link.exchange(*reads)), strict=True):
        census[row][rest] = _shaped(MODEL[row].type, reply)
    return census


def snapshot(broker: Broker) -> Census:
    """The census of one instant, of a namespace that is in use; of results, only those of jobs that have a body.

    One script, which stops the server for as long as it takes.
    """
    census: Census = {row: {} for row in MODEL}
    for key, reply in ask(broker, "EVAL", _SNAPSHOT, 1, broker.prefix):
        row, rest = row_of(key[len(broker.prefix) :])
        census[row][rest] = _shaped(MODEL[row].type, reply)
    return census


_SNAPSHOT = """
local found, reads = {}, {
  list = {'LRANGE', 0, -1}, hash = {'HGETALL'}, set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'}}
local function add(key, kind)
  local words = reads[kind]
  if words then found[#found + 1] = {key, redis.call(words[1], key, unpack(words, 2))} end
end
for _, id in ipairs(redis.call('HKEYS', KEYS[1] .. 'jobs')) do
  local record = redis.call('GET', KEYS[1] .. 'result:' .. id)
  if record then found[#found + 1] = {KEYS[1] .. 'result:' .. id, record} end
end
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '[^r]*')) do add(key, redis.call('TYPE', key).ok) end
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. 'ready:*')) do add(key, 'list') end
return found
"""


def row_of(name: bytes) -> tuple[str, str]:
    """The row of the data model that a key is of, from its name without the namespace; and what follows its suffix."""
    for row, key in MODEL.items():
        suffix = key.suffix.encode()
        if name == suffix or (key.suffix.endswith(":") and name.startswith(suffix)):
            return row, name[len(suffix) :].decode("latin-1")
    raise AssertionError(f"the key {name!r} is in no row of the data model")


def _shaped(kind: str, reply: Any) -> Any:
    if kind == "hash":
        return dict(zip(reply[::2], reply[1::2], strict=True))
    if kind == "zset":
        return {member: float(score) for member, score in zip(reply[::2], reply[1::2], strict=True)}
    return set(reply) if kind == "set" else reply


def one_place(census: Census) -> list[str]:
    """What contradicts 'each job is in exactly one place', in words; [] where all is well."""
    bodies = set(census["jobs"].get("", {}))
    records = {rest.encode("latin-1") for rest in census["result"]}
    ghosts = set(census["cancelled"].get("", {}))
    places = Counter(member_id(member) for member in _members(census))
    dead = {member_id(member) for queue in census["dead"].values() for member in queue}
    lined = {member_id(member) for line in census["ready"].values() for member in line}
    places -= Counter(ghosts & lined)
    wrong = {
        "in several places": {job for job, times in places.items() if times > 1},
        "a body that is in no place": bodies - set(places),
        "in a place without a body": set(places) - bodies,
        "an empty place that stands nowhere": ghosts - lined,
        "a body and an outcome, but not dead": (bodies & records) - dead,
        "dead without a record": dead - records,
        "attempts of no job": set(census["attempts"].get("", {})) - bodies,
        "losses of no job": set(census["losses"].get("", {})) - bodies,
        "waits of no job": set(census["waits"].get("", {})) - bodies,
        "awaited, but will never have an outcome": set(census["awaited"].get("", {})) - bodies,
    }
    return [f"{what}: {sorted(jobs)}" for what, jobs in wrong.items() if jobs] + _doorbells(census)


def _members(census: Census) -> list[bytes]:
    rows = ("ready", "delayed", "held", "parked", "dead")
    return [member for row in rows for value in census[row].values() for member in value]


def _doorbells(census: Census) -> list[str]:
    return [f"doorbell {bell} rings twice" for bell, tokens in census["wake"].items() if len(tokens) > 1]
