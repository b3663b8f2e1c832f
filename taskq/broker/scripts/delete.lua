-- delete: forget jobs and their outcomes, wherever they are but in a worker's hands.
-- ARGV: 1.. id, route, ...
-- returns: for each job the state it was in: it is gone unless that is running
-- uses: jobs result dead delayed parked held workers fenced attempts losses waits cancelled awaited reply
-- include: allow_oom route locate tell
local states = {}
for i = 1, #ARGV, 2 do
  local id, route = ARGV[i], ARGV[i + 1]
  local state, member, key = locate(id, route)
  if state ~= 'running' then
    redis.call('DEL', RESULT .. id)
    if state == 'queued' then redis.call('HSET', CANCELLED, id, route) end
    if key then redis.call('ZREM', key, member) end
    redis.call('HDEL', JOBS, id)
    redis.call('HDEL', ATTEMPTS, id)
    redis.call('HDEL', LOSSES, id)
    redis.call('HDEL', WAITS, id)
    tell({id})
  end
  states[#states + 1] = state
end
return states
