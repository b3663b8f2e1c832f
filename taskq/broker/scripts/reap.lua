-- reap: declare a worker process dead and put what it held back in line (at most 100 a call), forget it when it holds nothing.
-- A job that had started counts a loss; from some number on it runs alone; at the limit it is dead. Which had started is
-- what the first call says: others that go on with it, from any supervisor, keep to that.
-- ARGV: 1 epoch, 2 limit of losses, 3 record for jobs at the limit, 4 losses from which on a job runs alone,
--       5 ids that had started, or '*' for those of the last heartbeat
-- returns: {how many it still holds, how many went back in line, how many were buried}; with '*' all 0 where the lease
--          has been renewed: then nothing happens
-- uses: ready held losses dead cancelled waits result awaited reply queues workers worker fenced poke wake config stats parties holders waiters stakes granted broken
-- include: allow_oom now route line ring stand whole count tell bury party grant disband
local epoch, held, stamp = ARGV[1], HELD .. ARGV[1], now()
-- Who goes by a lease that had run out may come late: the process may have come back and have a lease again.
if ARGV[5] == '*' and tonumber(redis.call('ZSCORE', WORKERS, epoch) or 0) > stamp then return {0, 0, 0} end
local first = redis.call('SADD', FENCED, epoch) == 1
redis.call('ZREM', WORKERS, epoch)
if redis.call('EXISTS', STAKES .. epoch) == 1 then redis.call('ZADD', PARTIES, 0, epoch) end -- its locks are free at once
disband(stamp)

if first and ARGV[5] ~= '*' then redis.call('HSET', WORKER .. epoch, 'started', ARGV[5]) end
local ids = redis.call('HGET', WORKER .. epoch, 'started') or ''
local started, buried, moved = {}, 0, 0
for i = 1, #ids, 16 do started[string.sub(ids, i, i + 15)] = true end

local function put_back(member, losses)
  if losses >= tonumber(ARGV[4]) then
    stand('RPUSH', id_of(member) .. (split(line_of(member))) .. ':solo')
  else
    stand('LPUSH', member)
  end
end

local members = redis.call('ZRANGE', held, -100, -1)
for i = #members, 1, -1 do
  local member = members[i]
  local id, losses = id_of(member), 0
  if started[id] then
    losses = whole(redis.call('HGET', LOSSES, id)) + 1
    redis.call('HSET', LOSSES, id, losses)
  end
  if losses >= tonumber(ARGV[2]) then
    bury(stamp, member, ARGV[3])
    buried = buried + 1
  else
    put_back(member, losses)
    moved = moved + 1
  end
  redis.call('ZREM', held, member)
end

local left = redis.call('ZCARD', held)
if left == 0 then
  redis.call('DEL', WORKER .. epoch, POKE .. epoch)
  redis.call('SREM', FENCED, epoch)
end
return {left, moved, buried}
