-- next_number: draw a number, greater than all before. It follows the clock: greater even where Redis lost some.
local function next_number(stamp)
  local number = math.max(whole(redis.call('GET', FENCING)) + 1, stamp)
  redis.call('SET', FENCING, string.format('%d', number))
  return number
end
