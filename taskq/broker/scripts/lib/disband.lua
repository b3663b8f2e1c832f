-- disband: take from a dead party what it holds or waits for (at most 100 a call), and hand it on at once.
local function break_up(sync)
  redis.call('SET', BROKEN .. sync, '1', 'PX', 86400000)
  for _, token in ipairs(redis.call('ZRANGE', WAITERS .. sync, 0, -1)) do
    notify(token, -2)
    redis.call('SREM', STAKES .. party_of(token), sync .. ' ' .. token)
  end
  redis.call('DEL', WAITERS .. sync)
end

local function take_from(party, sync, token)
  if string.sub(sync, 1, 8) ~= 'barrier:' then
    redis.call('ZREM', HOLDERS .. sync, token)
    redis.call('ZREM', WAITERS .. sync, token)
  elseif redis.call('ZSCORE', WAITERS .. sync, token) then
    break_up(sync)
  end
end

local function disband(stamp)
  local party, freed = redis.call('ZRANGEBYSCORE', PARTIES, '-inf', stamp, 'LIMIT', 0, 1)[1], {}
  if not party then return end
  local lease = redis.call('ZSCORE', WORKERS, party) -- it was only suspected, and has beaten since
  for _, stake in ipairs(lease and tonumber(lease) > stamp and {} or redis.call('SRANDMEMBER', STAKES .. party, 100)) do
    local sync, token = string.match(stake, '^(%S+) (.+)$')
    if sync then
      take_from(party, sync, token)
      freed[sync] = true
    end
    redis.call('SREM', STAKES .. party, stake)
  end
  for sync in pairs(freed) do grant(stamp, sync) end
  if (lease and tonumber(lease) > stamp) or redis.call('EXISTS', STAKES .. party) == 0 then
    redis.call('ZREM', PARTIES, party)
  end
end
