-- room: wake one of the producers that wait for room in a bounded queue, unless their doorbell is ringing already. Where that
-- cannot be (no memory), they look themselves after a while.
local function make_room(queue)
  local _, bound = terms(queue)
  if bound > 0 and redis.call('EXISTS', ROOM .. queue) == 0 then redis.pcall('RPUSH', ROOM .. queue, '1') end
end
