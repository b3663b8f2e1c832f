-- baton: wake a fetcher of a lane in which jobs stand in line.
local function pass_on(queue, lane)
  if redis.call('EXISTS', unpack(lines(queue, lane))) > 0 then ring(queue, lane) end
end
