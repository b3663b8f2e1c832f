-- enqueue: store new jobs and put them in line, or aside until they are due; each id once.
-- ARGV: 1 route, 2 delay in ms or '', 3 due time in ms or '', 4 terms of the queue where they are declared ('lifo 1000') or '',
--       5.. id, body, ...
-- returns: how many were stored: an id that is known already is refused; or -1 where none was, since the empty place of a
--          job of that name still stands in another line than this. Where a bounded queue has no room for more:
--          {how many were stored, how many of the jobs were dealt with, how many are in line, how many may be}
-- uses: ready jobs delayed result cancelled queues levels wake config stats terms room
-- include: now route ring delay count lines length whole terms room entry
local route, aside, queue, lane = ARGV[1], ARGV[2] ~= '' or ARGV[3] ~= '', split(ARGV[1])
local known = redis.call('EXISTS', CANCELLED, TERMS .. queue) > 0 or ARGV[4] ~= ''
local cancelled = known and redis.call('EXISTS', CANCELLED) == 1
local push, bound, room = entry(queue, known, ARGV[4])
local members, stored, refused, full = {}, 0, false, nil
-- Without memory a job is refused, but not one that is there: its producer sends it again, having had no answer.
local function store(id, body)
  local stored = redis.pcall('HSETNX', JOBS, id, body)
  if type(stored) ~= 'table' then return stored end
  return redis.call('HEXISTS', JOBS, id) == 1 and 0 or redis.call('HSETNX', JOBS, id, body)
end
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local place = cancelled and redis.call('HGET', CANCELLED, id)
  if redis.call('EXISTS', RESULT .. id) == 0 then
    if place and (aside or place ~= route) then
      refused = true
    elseif #members >= room and not (aside or place) and redis.call('HEXISTS', JOBS, id) == 0 then
      full = {0, (i - 5) / 2, bound - room + #members, bound}
      break
    elseif store(id, ARGV[i + 1]) == 1 then
      stored = stored + 1
      -- Its old place in this line is its place again: it must not stand there twice.
      if place then redis.call('HDEL', CANCELLED, id) else members[#members + 1] = id .. route end
    end
  end
end
if full then full[1] = stored end
if #members < room and bound > 0 and not aside then make_room(queue) end
if stored == 0 then return full or refused and -1 or 0 end

local stamp = now()
if #route > #queue + #lane + 1 then redis.call('SADD', LEVELS, queue .. ':' .. lane) end
if aside then
  local due = ARGV[3] == '' and stamp + ARGV[2] or ARGV[3]
  for _, member in ipairs(members) do delay(member, due) end
else
  if #members > 0 and redis.call(push, READY .. route, unpack(members)) == #members then
    redis.call('SADD', QUEUES, queue)
  end
  ring(queue, lane)
end
count(stamp, queue, 'enqueued', stored)
return full or stored
