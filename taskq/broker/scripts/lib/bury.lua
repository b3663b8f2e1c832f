-- bury: make a job a dead letter: its outcome without a TTL, its body kept. The caller takes it from where it was.
local function bury(stamp, member, record)
  local id, queue = id_of(member), split(route_of(member))
  redis.call('SET', RESULT .. id, record)
  redis.call('ZADD', DEAD .. queue, stamp, member)
  redis.call('SADD', QUEUES, queue)
  count(stamp, queue, 'dead', 1)
  redis.call('HDEL', WAITS, id)
  tell({id})
end
