-- now: milliseconds since the epoch, by the server's clock (client clocks never matter).
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
