-- tell: push the ids of jobs that have an outcome (or never will) to the clients that wait for them. Where the list of
-- a client is none, that client is not told, and no job waits for it.
local function tell(ids)
  if #ids == 0 or redis.call('EXISTS', AWAITED) == 0 then return end
  local waiting = redis.call('HMGET', AWAITED, unpack(ids))
  for i, clients in ipairs(waiting) do
    for start = 1, clients and #clients or 0, 8 do
      local reply = REPLY .. string.sub(clients, start, start + 7)
      redis.pcall('RPUSH', reply, ids[i])
      redis.call('EXPIRE', reply, 60)
    end
  end
  redis.call('HDEL', AWAITED, unpack(ids))
end
