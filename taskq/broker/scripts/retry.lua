-- retry: put failed jobs aside until their next attempt. One that was put aside just like this before, and is held again,
-- is in its next attempt: whoever waits for it has claimed it before the answer to an earlier sending was known.
-- ARGV: 1 epoch, 2.. member, delay in ms, history, ...
-- returns: the members that this epoch no longer held, but for those that it has put aside before, like this
-- uses: held attempts waits delayed queues wake stats
-- include: allow_oom now route delay count drop
local held, stamp, dropped = HELD .. ARGV[1], now(), {}
for i = 2, #ARGV, 3 do
  local member = ARGV[i]
  local mine = redis.call('ZSCORE', held, member)
  local before = redis.call('HGET', ATTEMPTS, id_of(member)) == ARGV[i + 2]
  if mine and not before then
    redis.call('HSET', ATTEMPTS, id_of(member), ARGV[i + 2])
    delay(member, stamp + ARGV[i + 1])
    count(stamp, split(route_of(member)), 'retried', 1)
    redis.call('HDEL', WAITS, id_of(member))
    redis.call('ZREM', held, member)
  elseif mine and redis.call('ZSCORE', DELAYED .. split(route_of(member)), member) then
    redis.call('ZREM', held, member) -- the end of an earlier sending was torn off the file
  elseif not before then
    drop(stamp, member, dropped)
  end
end
return dropped
