-- cancel: end jobs that have not started. What stands in a ready list leaves an empty place that a claim passes over.
-- ARGV: 1 record, 2 its ttl in ms, 3.. id, route, ...
-- returns: for each job the state it was in: it was cancelled if that is queued, delayed or parked. 'queued' stands also for a
--          job that this very call has cancelled before, when the answer to it was lost
-- uses: jobs result dead delayed parked held workers fenced attempts losses waits cancelled awaited reply
-- include: allow_oom route locate tell
local states = {}
for i = 3, #ARGV, 2 do
  local id, route = ARGV[i], ARGV[i + 1]
  local state, member, key = locate(id, route)
  if state == 'queued' or state == 'delayed' or state == 'parked' then
    redis.call('SET', RESULT .. id, ARGV[1], 'PX', ARGV[2])
    if state == 'queued' then redis.call('HSET', CANCELLED, id, route) else redis.call('ZREM', key, member) end
    redis.call('HDEL', JOBS, id)
    redis.call('HDEL', ATTEMPTS, id)
    redis.call('HDEL', LOSSES, id)
    redis.call('HDEL', WAITS, id)
    tell({id})
  end
  local repeated = state == 'done' and redis.call('GET', RESULT .. id) == ARGV[1]
  states[#states + 1] = repeated and 'queued' or state
end
return states
