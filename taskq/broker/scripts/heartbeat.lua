-- heartbeat: renew the leases of a supervisor's processes, and look for one process whose lease ran out.
-- ARGV: 1 lease in ms, 2 outage gap in ms, 3.. epoch, ids it has started, ...
-- returns: {epochs of ours that were declared dead, one victim or '', in how many ms the next delayed job is due or -1}
-- uses: ready workers worker fenced clock queues delayed parked wake config levels parties holders waiters stakes granted broken
-- include: allow_oom now ring lines party grant disband
local stamp, lease, mine, lost = now(), tonumber(ARGV[1]), {}, {}
local last = tonumber(redis.call('HGET', CLOCK, 'beat') or nil) or stamp
redis.call('HSET', CLOCK, 'beat', stamp)

-- The outage guard: when nobody could beat for a while (Redis was away), or the clock jumped, nobody is dead for it.
-- Each process gets its own lease anew: what is a long while here may be nothing to those who beat seldom.
if stamp - last > tonumber(ARGV[2]) or stamp < last then
  for _, epoch in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
    local its = tonumber(redis.call('HGET', WORKER .. epoch, 'lease') or nil) or lease
    redis.call('ZADD', WORKERS, stamp + its, epoch)
  end
end

for i = 3, #ARGV, 2 do
  mine[ARGV[i]] = true
  if redis.call('ZSCORE', WORKERS, ARGV[i]) then
    redis.call('ZADD', WORKERS, stamp + lease, ARGV[i])
    redis.call('HSET', WORKER .. ARGV[i], 'started', ARGV[i + 1])
  else
    lost[#lost + 1] = ARGV[i]
  end
end

disband(stamp) -- of processes that are no workers; nobody may be waiting for what they held
-- A victim that somebody began to reap comes first: whoever began may have died himself.
local victim = redis.call('SRANDMEMBER', FENCED) or redis.call('ZRANGEBYSCORE', WORKERS, '-inf', stamp, 'LIMIT', 0, 1)[1]
local first = false
for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  for _, key in ipairs({DELAYED .. queue, PARKED .. queue}) do
    local due = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
    if due and (not first or due < first) then first = due end
  end
  -- Nobody looks at a solo line but who hears its bell, and whoever heard it may have died.
  if redis.call('EXISTS', unpack(lines(queue, 'solo'))) > 0 then ring(queue, 'solo') end
end
return {lost, victim and not mine[victim] and victim or '', first and math.max(0, math.ceil(first - stamp)) or -1}
