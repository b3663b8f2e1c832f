-- enqueue: store new jobs and put them in line, or aside until they are due; each id once.
-- ARGV: 1 route, 2 delay in ms or '', 3 due time in ms or '', 4.. id, body, ...
-- returns: how many were stored; an id that is known already is refused, and one whose empty place still stands in line
-- uses: ready jobs delayed result cancelled queues levels wake config stats
-- include: now route ring delay count
local route, members, cancelled = ARGV[1], {}, redis.call('EXISTS', CANCELLED) == 1
-- Without memory a job is refused, but not one that is there: its producer sends it again, having had no answer.
local function store(id, body)
  local stored = redis.pcall('HSETNX', JOBS, id, body)
  if type(stored) ~= 'table' then return stored end
  return redis.call('HEXISTS', JOBS, id) == 1 and 0 or redis.call('HSETNX', JOBS, id, body)
end
for i = 4, #ARGV, 2 do
  local id = ARGV[i]
  local known = redis.call('EXISTS', RESULT .. id) == 1 or (cancelled and redis.call('HEXISTS', CANCELLED, id) == 1)
  if not known and store(id, ARGV[i + 1]) == 1 then members[#members + 1] = id .. route end
end
if #members == 0 then return 0 end

local stamp, queue, lane = now(), split(route)
if #route > #queue + #lane + 1 then redis.call('SADD', LEVELS, queue .. ':' .. lane) end
if ARGV[2] == '' and ARGV[3] == '' then
  if redis.call('RPUSH', READY .. route, unpack(members)) == #members then
    redis.call('SADD', QUEUES, queue)
  end
  ring(queue, lane)
else
  local due = ARGV[3] == '' and stamp + ARGV[2] or ARGV[3]
  for _, member in ipairs(members) do delay(member, due) end
end
count(stamp, queue, 'enqueued', #members)
return #members
