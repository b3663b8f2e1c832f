-- enlist: make the queues, and the priorities, of these routes known.
-- ARGV: 1.. routes
-- returns: how many names were not known before
-- uses: queues levels
-- include: allow_oom route
local added = 0
for i = 1, #ARGV do
  local queue, lane = split(ARGV[i])
  added = added + redis.call('SADD', QUEUES, queue)
  if #ARGV[i] > #queue + #lane + 1 then added = added + redis.call('SADD', LEVELS, queue .. ':' .. lane) end
end
return added
