-- pending: is there anything left to run now? Delayed and parked jobs do not count.
-- ARGV: 1.. queues
-- returns: {ready lists of those queues that are not empty, jobs held by any worker process}
-- uses: ready held workers fenced levels
-- include: lines
local ready, held = 0, 0
for i = 1, #ARGV do
  for _, lane in ipairs(LANES) do ready = ready + redis.call('EXISTS', unpack(lines(ARGV[i], lane))) end
end
for _, epochs in ipairs({redis.call('ZRANGE', WORKERS, 0, -1), redis.call('SMEMBERS', FENCED)}) do
  for _, epoch in ipairs(epochs) do held = held + redis.call('ZCARD', HELD .. epoch) end
end
return {ready, held}
