-- register: make a worker process known and give it its first lease. An epoch is never used again.
-- ARGV: 1 epoch, 2 lease in ms, 3.. field, value, ... of what it is
-- returns: 1, or 0 where the epoch was declared dead
-- uses: workers worker fenced clock
-- include: allow_oom now
local epoch, stamp = ARGV[1], now()
if redis.call('SISMEMBER', FENCED, epoch) == 1 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', WORKER .. epoch, ARGV[i], ARGV[i + 1]) end
redis.call('HSETNX', CLOCK, 'beat', stamp) -- the outage guard counts from the first lease on
redis.call('ZADD', WORKERS, stamp + ARGV[2], epoch)
return 1
