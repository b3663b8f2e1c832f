-- enqueue: store new jobs and put them in line, or aside until they are due; each id once.
-- ARGV: 1 route, 2 delay in ms or '', 3 due time in ms or '', 4.. id, body, ...
-- returns: how many were stored: an id that is known already is refused; or -1 where none was, since the empty place of a
--          job of that name still stands in another line than this
-- uses: ready jobs delayed result cancelled queues levels wake config stats
-- include: now route ring delay count
local route, aside, cancelled = ARGV[1], ARGV[2] ~= '' or ARGV[3] ~= '', redis.call('EXISTS', CANCELLED) == 1
local members, stored, refused = {}, 0, false
-- Without memory a job is refused, but not one that is there: its producer sends it again, having had no answer.
local function store(id, body)
  local stored = redis.pcall('HSETNX', JOBS, id, body)
  if type(stored) ~= 'table' then return stored end
  return redis.call('HEXISTS', JOBS, id) == 1 and 0 or redis.call('HSETNX', JOBS, id, body)
end
for i = 4, #ARGV, 2 do
  local id = ARGV[i]
  local place = cancelled and redis.call('HGET', CANCELLED, id)
  if redis.call('EXISTS', RESULT .. id) == 0 then
    if place and (aside or place ~= route) then
      refused = true
    elseif store(id, ARGV[i + 1]) == 1 then
      stored = stored + 1
      -- Its old place in this line is its place again: it must not stand there twice.
      if place then redis.call('HDEL', CANCELLED, id) else members[#members + 1] = id .. route end
    end
  end
end
if stored == 0 then return refused and -1 or 0 end

local stamp, queue, lane = now(), split(route)
if #route > #queue + #lane + 1 then redis.call('SADD', LEVELS, queue .. ':' .. lane) end
if aside then
  local due = ARGV[3] == '' and stamp + ARGV[2] or ARGV[3]
  for _, member in ipairs(members) do delay(member, due) end
else
  if #members > 0 and redis.call('RPUSH', READY .. route, unpack(members)) == #members then
    redis.call('SADD', QUEUES, queue)
  end
  ring(queue, lane)
end
count(stamp, queue, 'enqueued', stored)
return stored
