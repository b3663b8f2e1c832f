-- acquire: take a place at a lock or semaphore, or stand in line for one. Who asks again is told again.
-- ARGV: 1 sync, 2 token, 3 lease in ms or '' for a worker process, 4 '1' where the party is new, 5 '1' to stand in line, or to
--       go on standing there
-- returns: {fence, or 0 without a place, or -1 where its party is dead, in how many ms to ask again}
-- uses: workers parties holders waiters stakes granted fencing broken
-- include: allow_oom now whole next_number party grant disband look
local sync, token, stamp = ARGV[1], ARGV[2], now()
local holders, waiters, stake = HOLDERS .. sync, WAITERS .. sync, STAKES .. party_of(token)
if not present(stamp, party_of(token), ARGV[3], ARGV[4] == '1') then return {-1, 0} end
disband(stamp)
local fence = redis.call('ZSCORE', holders, token)
if fence then return {tonumber(fence), 0} end

suspect(stamp, holders)
grant(stamp, sync)
fence = redis.call('ZSCORE', holders, token)
if fence then return {tonumber(fence), 0} end

local waits = redis.call('ZSCORE', waiters, token)
if redis.call('EXISTS', waiters) == 0 and redis.call('ZCARD', holders) < places_of(token) then
  fence = next_number(stamp)
  redis.call('SADD', stake, sync .. ' ' .. token)
  redis.call('ZADD', holders, fence, token)
elseif ARGV[5] == '1' and not waits then
  redis.call('SADD', stake, sync .. ' ' .. token)
  redis.call('ZADD', waiters, next_number(stamp), token)
elseif ARGV[5] ~= '1' and waits then
  redis.call('ZREM', waiters, token)
  redis.call('SREM', stake, sync .. ' ' .. token)
  grant(stamp, sync)
end
return {fence or 0, look(stamp)}
