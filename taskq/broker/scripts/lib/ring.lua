-- ring: wake one fetcher of a queue's lane, unless its doorbell is ringing already or the queue is paused.
local function ring(queue, lane)
  local bell = WAKE .. queue .. ':' .. lane
  if redis.call('EXISTS', bell) == 0 and redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0 then
    redis.call('RPUSH', bell, '1')
  end
end
