-- look: the net below: whoever waits looks whether those in his way are alive, though nobody has reaped them.
local function suspect(stamp, key)
  for _, token in ipairs(redis.call('ZRANGE', key, 0, 9)) do
    local party = party_of(token)
    local lease = redis.call('ZSCORE', WORKERS, party)
    if not redis.call('ZSCORE', PARTIES, party) and tonumber(lease or 0) <= stamp then
      -- Without supervisors nobody declares a process dead; but they may come back, as after an outage of Redis.
      redis.call('ZADD', PARTIES, lease and stamp + 15000 or 0, party)
    end
  end
end

-- In how many ms to ask again, if nothing was heard: when the next lease runs out.
local function look(stamp)
  local due = tonumber(redis.call('ZRANGE', PARTIES, 0, 0, 'WITHSCORES')[2])
  return due and math.max(1, math.min(15000, math.ceil(due - stamp) + 1)) or 15000
end
