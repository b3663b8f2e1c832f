-- lines: the ready lists of a queue's lane, highest priority first; the default level (5) has no suffix.
local LANES = {'io', 'cpu', 'async', 'solo'}
local leveled
local function lines(queue, lane)
  local line, keys = queue .. ':' .. lane, {}
  if leveled == nil then leveled = redis.call('EXISTS', LEVELS) == 1 end
  if not leveled or redis.call('SISMEMBER', LEVELS, line) == 0 then return {READY .. line} end
  for level = 9, 0, -1 do keys[#keys + 1] = READY .. line .. (level == 5 and '' or ':' .. level) end
  return keys
end
