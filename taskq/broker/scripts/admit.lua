-- admit: which of the jobs that this process has just claimed may run, where so many of their task may do so at once. The others
-- are put aside: they wait among what is delayed, first come, first served, and `advance` puts them in line in their turn.
-- Should nobody do that, they come back by themselves, one after another.
-- ARGV: 1 epoch, 2 task, 3 limit, 4.. members in claim order
-- returns: the members that may run
-- uses: ready jobs held delayed parked dead permits limited cancelled queues wake config
-- include: allow_oom now route line ring stand delay permits
local epoch, task, limit, stamp = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
local held, permits, waiting = HELD .. epoch, PERMITS .. task, LIMITED .. task
local inside, here, asking = {}, {}, {}
local drawn = tonumber(redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2] or 0)
if redis.call('HLEN', permits) + #ARGV - 3 > limit then look_at_permits(task, stamp) end
for i = 4, #ARGV do
  local member = ARGV[i]
  local permit = redis.call('HGET', permits, id_of(member))
  local holder, same = held_by(permit or '')
  if redis.call('ZSCORE', held, member) and permit and (not holder or (holder == epoch and same == member)) then
    inside[#inside + 1] = member
    redis.call('ZREM', waiting, member)
  elseif redis.call('ZSCORE', held, member) then
    here[member], asking[#asking + 1] = true, member
    redis.call('ZADD', waiting, 'NX', drawn + i, member)
  end
end

for _, member in ipairs(call_in(task, limit, here, stamp)) do
  inside[#inside + 1], here[member] = member, nil
end
for _, member in ipairs(inside) do redis.call('HSET', permits, id_of(member), epoch .. ' ' .. member) end
local last = redis.call('ZCARD', waiting)
for i = #asking, 1, -1 do
  if here[asking[i]] then
    delay(asking[i], stamp + 60000 + 1000 * last) -- a second after the one before: they must not come back all at once
    redis.call('ZREM', held, asking[i])
    last = last - 1
  end
end
return inside
