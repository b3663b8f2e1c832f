-- park: put aside jobs whose task this worker does not know, for workers that do.
-- ARGV: 1 epoch, 2 how long in ms until they are given up, 3.. members
-- returns: the members that this epoch no longer held
-- uses: held parked queues wake
-- include: allow_oom now route
local held, stamp, dropped = HELD .. ARGV[1], now(), {}
for i = 3, #ARGV do
  local member = ARGV[i]
  if redis.call('ZSCORE', held, member) then
    local queue = split(route_of(member))
    redis.call('ZADD', PARKED .. queue, stamp + ARGV[2], member)
    redis.call('SADD', QUEUES, queue)
    redis.call('ZREM', held, member)
  else
    dropped[#dropped + 1] = member
  end
end
if redis.call('EXISTS', WAKE .. 'timer') == 0 then redis.call('RPUSH', WAKE .. 'timer', '1') end
return dropped
