-- entry: how new jobs get in line, how many may stand there (0: any number), and for how many there is room. What is declared
-- anew is kept.
local function entry(queue, known, declared)
  if not known then return 'RPUSH', 0, math.huge end
  if declared ~= '' and declared ~= redis.call('GET', TERMS .. queue) then redis.pcall('SET', TERMS .. queue, declared) end
  local push, bound = terms(queue)
  if bound == 0 then return push, 0, math.huge end
  local there = 0
  for _, lane in ipairs(LANES) do there = there + length(queue, lane) end
  return push, bound, bound - there
end
