-- unpark: put parked jobs back in line, for a worker that knows their task.
-- ARGV: 1.. members
-- returns: how many were parked
-- uses: ready parked wake config
-- include: allow_oom route ring
local moved = 0
for i = 1, #ARGV do
  local member = ARGV[i]
  local queue, lane = split(route_of(member))
  if redis.call('ZSCORE', PARKED .. queue, member) then
    redis.call('RPUSH', READY .. route_of(member), member)
    redis.call('ZREM', PARKED .. queue, member)
    ring(queue, lane)
    moved = moved + 1
  end
end
return moved
