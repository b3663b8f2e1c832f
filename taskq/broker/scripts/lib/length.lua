-- length: how many jobs stand in line in a queue's lane, at all its levels.
local function length(queue, lane)
  local sum = 0
  for _, key in ipairs(lines(queue, lane)) do sum = sum + redis.call('LLEN', key) end
  return sum
end
