-- adopt: what does this worker process hold, and is there anything parked in its queues?
-- ARGV: 1 epoch, 2 how many parked jobs of each queue to pass over, 3.. queues
-- returns: {members held in claim order, up to 100 parked members of each queue, their bodies}
-- uses: held parked jobs
-- include: route
local parked, bodies = {}, {}
for i = 3, #ARGV do
  for _, member in ipairs(redis.call('ZRANGE', PARKED .. ARGV[i], ARGV[2], ARGV[2] + 99)) do
    parked[#parked + 1] = member
    bodies[#bodies + 1] = redis.call('HGET', JOBS, id_of(member)) or ''
  end
end
return {redis.call('ZRANGE', HELD .. ARGV[1], 0, -1), parked, bodies}
