-- delay: put members aside until a time, and wake a supervisor's timer where one became the first of its queue.
local function delay(member, due)
  local queue = split(route_of(member))
  redis.call('ZADD', DELAYED .. queue, due, member)
  redis.call('SADD', QUEUES, queue)
  if redis.call('ZRANGE', DELAYED .. queue, 0, 0)[1] == member and redis.call('EXISTS', WAKE .. 'timer') == 0 then
    redis.call('RPUSH', WAKE .. 'timer', '1')
  end
end
