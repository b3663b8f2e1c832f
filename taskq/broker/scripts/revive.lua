-- revive: put dead jobs back in line with a clean slate, and delayed ones at once.
-- ARGV: 1.. id, route, ...
-- returns: for each job the state it was in: it is in line again if that is dead or delayed
-- uses: ready jobs result dead delayed parked held workers fenced attempts losses cancelled wake config terms
-- include: route line ring stand locate whole terms
local states = {}
for i = 1, #ARGV, 2 do
  local id = ARGV[i]
  local state, member, key = locate(id, ARGV[i + 1])
  if state == 'dead' or state == 'delayed' then
    if state == 'dead' then
      redis.call('DEL', RESULT .. id)
      redis.call('HDEL', ATTEMPTS, id)
      redis.call('HDEL', LOSSES, id)
    end
    local push = terms(split(line_of(member)))
    stand(push, member)
    redis.call('ZREM', key, member)
  end
  states[#states + 1] = state
end
return states
