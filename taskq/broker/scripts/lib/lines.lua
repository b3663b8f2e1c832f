-- lines: the ready lists of a queue's lane, highest priority first; the default level (5) has no suffix.
local LANES = {'io', 'cpu', 'async', 'solo'}
local function lines(queue, lane)
  local key, keys = READY .. queue .. ':' .. lane, {}
  for level = 9, 0, -1 do keys[#keys + 1] = level == 5 and key or key .. ':' .. level end
  return keys
end
