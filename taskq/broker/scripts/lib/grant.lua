-- grant: give free places to those who stand first in line, and tell them. The number that each drew when he came is his
-- fence: as a line is served in order, and numbers only grow, who holds later has a greater one.
local function notify(token, number)
  local list = GRANTED .. string.match(party_of(token), '^[^@]*')
  redis.pcall('RPUSH', list, token .. ' ' .. string.format('%d', number))
  redis.call('EXPIRE', list, 60)
end

local function grant(stamp, sync)
  for _ = 1, 100 do
    local first = redis.call('ZRANGE', WAITERS .. sync, 0, 0, 'WITHSCORES')
    local token, number = first[1], first[2]
    if not token then return end
    if not lives(stamp, party_of(token)) then
      redis.call('SREM', STAKES .. party_of(token), sync .. ' ' .. token)
    elseif redis.call('ZCARD', HOLDERS .. sync) < places_of(token) then
      redis.call('ZADD', HOLDERS .. sync, number, token)
      notify(token, number)
    else
      return
    end
    redis.call('ZREM', WAITERS .. sync, token)
  end
end
