-- resume: hand out a queue's jobs again.
-- ARGV: 1 queue
-- returns: 1 where it was paused
-- uses: ready config wake levels
-- include: allow_oom ring lines baton
local paused = redis.call('HDEL', CONFIG .. ARGV[1], 'paused')
for _, lane in ipairs(LANES) do pass_on(ARGV[1], lane) end
return paused
