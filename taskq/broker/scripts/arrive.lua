-- arrive: come to a barrier and wait there, until as many have come as it is for. Who asks again is told again.
-- ARGV: 1 sync, 2 token, 3 lease in ms or '' for a worker process, 4 '1' where the party is new, 5 '1' where it waits already
-- returns: {place in the order of arrival from 1 on, once all have come; 0: wait; -1: its party is dead; -2: it is broken,
--          in how many ms to ask again}
-- uses: workers parties holders waiters stakes granted fencing broken
-- include: allow_oom now whole next_number party grant disband look
local sync, token, stamp = ARGV[1], ARGV[2], now()
local holders, waiters, stake = HOLDERS .. sync, WAITERS .. sync, sync .. ' ' .. token
if not present(stamp, party_of(token), ARGV[3], ARGV[4] == '1') then return {-1, 0} end
disband(stamp)
local place = redis.call('ZSCORE', holders, token) -- those of the last round are kept: somebody may not have heard
if place then return {tonumber(place), 0} end

local waits = redis.call('ZSCORE', waiters, token)
if redis.call('EXISTS', BROKEN .. sync) == 1 or (ARGV[5] == '1' and not waits) then return {-2, 0} end
if not waits then
  redis.call('SADD', STAKES .. party_of(token), stake)
  redis.call('ZADD', waiters, next_number(stamp), token)
end
local all = redis.call('ZRANGE', waiters, 0, places_of(token) - 1)
if #all < places_of(token) then
  suspect(stamp, waiters)
  return {0, look(stamp)}
end

redis.call('DEL', holders)
for i, each in ipairs(all) do
  redis.call('ZADD', holders, i, each)
  redis.call('ZREM', waiters, each)
  redis.call('SREM', STAKES .. party_of(each), sync .. ' ' .. each)
  if each ~= token then notify(each, i) end
end
redis.call('PEXPIRE', holders, 86400000)
return {tonumber(redis.call('ZSCORE', holders, token) or 0), look(stamp)}
