-- tune: leave doorbells one token each, and ring those of lanes in which jobs stand in line.
-- ARGV: 1.. bells: 'timer', or queue:lane
-- returns: how many tokens too many there were
-- uses: ready wake config levels
-- include: allow_oom route ring lines baton
local gone = 0
for i = 1, #ARGV do
  gone = gone + math.max(0, redis.call('LLEN', WAKE .. ARGV[i]) - 1)
  redis.call('LTRIM', WAKE .. ARGV[i], 0, 0)
  if ARGV[i] ~= 'timer' then pass_on(split(ARGV[i])) end
end
return gone
