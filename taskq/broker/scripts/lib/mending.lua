-- mending: the steps of mend for one job. A place is {place, key, member}, and {list, index} where it is in a ready list.
local RANK = {held = 1, ready = 2, delayed = 3, parked = 4, dead = 5}

local function rules(a, b)
  if not b or a.place ~= b.place then return not b or RANK[a.place] < RANK[b.place] end
  return a.list and (a.list > b.list or (a.list == b.list and a.index < b.index))
end

local function entomb(member)
  local queue = split(route_of(member))
  redis.call('ZADD', DEAD .. queue, now(), member)
  redis.call('SADD', QUEUES, queue)
  return {place = 'dead', key = DEAD .. queue, member = member}
end

local function line_up(member)
  local route = line_of(member)
  local queue, lane = split(route)
  redis.call('RPUSH', READY .. route, member)
  redis.call('SADD', QUEUES, queue)
  if #route > #queue + #lane + 1 then redis.call('SADD', LEVELS, queue .. ':' .. lane) end
  ring(queue, lane)
end

-- The place that the job stays in, made where there is none; what it is called.
local function settle(id, member, places, record)
  local lasts = redis.call('PTTL', RESULT .. id)
  if redis.call('HEXISTS', JOBS, id) == 0 or lasts >= 0 then return nil, 'ended' end
  local best, dead
  for _, place in ipairs(places) do
    if rules(place, best) then best = place end
    if place.place == 'dead' then dead = dead or place end
  end
  if lasts == -1 then return dead or entomb(best and best.member or member), 'dead' end -- only dead letters' records last
  if not best then
    line_up(member)
    return nil, 'ready'
  end
  if best == dead then
    redis.call('SET', RESULT .. id, record)
    tell({id})
  end
  return best, best.place
end

-- In line nothing can be taken out of the middle: the place is left to `nobody`, as that of a cancelled job.
local function leave(place, nobody)
  if not place.list then return redis.call('ZREM', place.key, place.member) end
  redis.call('LSET', place.key, place.index, nobody .. route_of(place.member))
  redis.call('HSET', CANCELLED, nobody, route_of(place.member))
end

local function forget(id, ended, ttl)
  redis.call('HDEL', CANCELLED, id)
  if not ended then return end
  if redis.call('PTTL', RESULT .. id) == -1 then redis.call('PEXPIRE', RESULT .. id, ttl) end
  for _, key in ipairs({JOBS, ATTEMPTS, LOSSES, WAITS}) do redis.call('HDEL', key, id) end
  tell({id})
end
