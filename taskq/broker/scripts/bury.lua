-- bury: make jobs that this worker process holds dead letters.
-- ARGV: 1 epoch, 2.. member, record, history, ...
-- returns: the members that this epoch no longer held, but for those that it has buried before, with this record
-- uses: held dead attempts waits result awaited reply queues stats
-- include: allow_oom now route count drop tell bury
local held, stamp, dropped = HELD .. ARGV[1], now(), {}
for i = 2, #ARGV, 3 do
  local member = ARGV[i]
  if redis.call('ZSCORE', held, member) then
    redis.call('HSET', ATTEMPTS, id_of(member), ARGV[i + 2])
    bury(stamp, member, ARGV[i + 1])
    redis.call('ZREM', held, member)
  elseif redis.call('GET', RESULT .. id_of(member)) ~= ARGV[i + 1] then
    drop(stamp, member, dropped)
  end
end
return dropped
