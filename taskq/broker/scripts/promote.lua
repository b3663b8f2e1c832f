-- promote: put in line what is due (at most 100 a queue), and give up what was parked for too long.
-- ARGV: 1 record for jobs whose task nobody knew
-- returns: in how many ms the next is due, or -1 where nothing waits
-- uses: ready delayed parked dead cancelled waits result awaited reply queues wake config stats terms
-- include: allow_oom now route line ring stand count tell bury whole terms
local stamp, first = now(), false
for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  local due = redis.call('ZRANGEBYSCORE', DELAYED .. queue, '-inf', stamp, 'LIMIT', 0, 100)
  local push = #due > 0 and terms(queue)
  for _, member in ipairs(due) do
    stand(push, member)
    redis.call('ZREM', DELAYED .. queue, member)
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', PARKED .. queue, '-inf', stamp, 'LIMIT', 0, 100)) do
    bury(stamp, member, ARGV[1])
    redis.call('ZREM', PARKED .. queue, member)
  end
  for _, key in ipairs({DELAYED .. queue, PARKED .. queue}) do
    local due = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
    if due and (not first or due < first) then first = due end
  end
end
return first and math.max(0, math.ceil(first - stamp)) or -1
