-- advance: jobs of a task that has a limit have ended, or their process has: the next may run.
-- ARGV: 1 epoch, or '' to look who has died, 2 task, 3 limit, 4.. ids of jobs that this process has run to their end
-- returns: how many may run or do so
-- uses: ready jobs held delayed parked dead permits limited cancelled wake config
-- include: allow_oom now route line ring stand permits
local epoch, task, stamp = ARGV[1], ARGV[2], now()
if epoch == '' then look_at_permits(task, stamp) end
for i = 4, #ARGV do
  local permit = redis.call('HGET', PERMITS .. task, ARGV[i])
  if permit and string.match(permit, '^%S+') == epoch then redis.call('HDEL', PERMITS .. task, ARGV[i]) end
end
call_in(task, tonumber(ARGV[3]), {}, stamp)
return redis.call('HLEN', PERMITS .. task)
