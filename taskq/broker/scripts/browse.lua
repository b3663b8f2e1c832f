-- browse: a page of the jobs of one queue that are in one state, with their bodies; newest death first, else next to run first.
-- ARGV: 1 state (queued, delayed, parked or dead), 2 queue, 3 how many to pass over, 4 how many at the most
-- returns: rows {member, time in ms or '', body, record of the dead or ''}
-- uses: ready jobs delayed parked dead cancelled result levels
-- include: route lines
local state, queue, skip, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local rows = {}
local function add(member, time)
  local id = id_of(member)
  local empty = state == 'queued' and redis.call('HGET', CANCELLED, id) == route_of(member)
  local body = not empty and redis.call('HGET', JOBS, id)
  if body then rows[#rows + 1] = {member, time, body, state == 'dead' and redis.call('GET', RESULT .. id) or ''} end
end

if state == 'queued' then
  for _, lane in ipairs(LANES) do
    for _, key in ipairs(lines(queue, lane)) do
      local length = redis.call('LLEN', key)
      for _, member in ipairs(redis.call('LRANGE', key, skip, skip + limit - #rows - 1)) do add(member, '') end
      skip = math.max(0, skip - length)
      if #rows >= limit then return rows end
    end
  end
else
  local key = ({delayed = DELAYED, parked = PARKED, dead = DEAD})[state] .. queue
  local found = redis.call(state == 'dead' and 'ZREVRANGE' or 'ZRANGE', key, skip, skip + limit - 1, 'WITHSCORES')
  for i = 1, #found, 2 do add(found[i], found[i + 1]) end
end
return rows
