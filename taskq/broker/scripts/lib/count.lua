-- count: add to a counter of a queue's current minute. Where it is no number, nothing is counted: no job waits for it.
local function count(stamp, queue, field, n)
  local key = STATS .. queue .. ':' .. string.format('%d', math.floor(stamp / 60000))
  if redis.pcall('HINCRBY', key, field, n) == n then
    redis.call('EXPIRE', key, 90000)
  end
end
