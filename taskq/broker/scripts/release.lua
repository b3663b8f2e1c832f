-- release: give a place at a lock or semaphore back, or leave the line; the place goes to whoever is first in it.
-- ARGV: 1 sync, 2 token
-- returns: 1, or 0 where it had none (any more: an earlier sending gave it back), or -1 where its party was declared dead
-- uses: workers parties holders waiters stakes granted
-- include: allow_oom now party grant
local sync, token, stamp = ARGV[1], ARGV[2], now()
local party, waited = party_of(token), redis.call('ZREM', WAITERS .. sync, token)
local held = redis.call('ZREM', HOLDERS .. sync, token)
redis.call('SREM', STAKES .. party, sync .. ' ' .. token)
if held + waited > 0 then grant(stamp, sync) end
if held == 1 or redis.call('ZSCORE', PARTIES, party) or redis.call('ZSCORE', WORKERS, party) then return held end
return -1
