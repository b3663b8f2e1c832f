-- claim: move jobs from the ready lists to what this worker process holds. Never sent twice.
-- What stands in a line has the route of that line, whatever is written in it; empty places, and what is no job, go.
-- ARGV: 1 epoch, 2 sequence number of the first, 3 how many lanes L, then L pairs lane, want, then the queues in order
-- returns: {'ok', members, bodies, {index, history, losses, ...} of those that failed or were lost before},
--          {'expired'} while the lease has run out, {'fenced'} once the epoch was declared dead
-- uses: ready jobs held attempts losses cancelled workers wake config levels
-- include: allow_oom now route ring lines lease whole troubled
local epoch, sequence, lanes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease = lease_of(epoch)
if lease ~= 'ok' then
  -- The bell that it may have heard was for somebody else.
  for q = 4 + 2 * lanes, #ARGV do
    for l = 4, 2 + 2 * lanes, 2 do
      if redis.call('EXISTS', unpack(lines(ARGV[q], ARGV[l]))) > 0 then ring(ARGV[q], ARGV[l]) end
    end
  end
  return {lease}
end

local members, bodies, kept = {}, {}, redis.call('EXISTS', CANCELLED) == 1
local MOST_EMPTY = 500 -- places passed over while there are only empty ones
-- Held first, then out of line: whatever prefix of these writes survives a crash, no job is in no place.
local function take(key, want)
  local line = want > 0 and redis.call('LRANGE', key, 0, want - 1) or {}
  if #line == 0 then return 0, 0 end
  local ids, holds, route = {}, {}, string.sub(key, #READY + 1)
  for i, member in ipairs(line) do ids[i] = id_of(member) end
  local places = kept and redis.call('HMGET', CANCELLED, unpack(ids)) or {}
  for i, body in ipairs(redis.call('HMGET', JOBS, unpack(ids))) do
    if body and #ids[i] == 16 and places[i] ~= route then
      members[#members + 1], bodies[#bodies + 1] = ids[i] .. route, body
      holds[#holds + 1] = string.format('%d', sequence + #members)
      holds[#holds + 1] = members[#members]
    else
      redis.call('HDEL', CANCELLED, ids[i])
    end
  end
  if #holds > 0 then redis.call('ZADD', HELD .. epoch, unpack(holds)) end
  redis.call('LPOP', key, #line)
  return #holds / 2, #line
end

for q = 4 + 2 * lanes, #ARGV do
  local queue = ARGV[q]
  local open = redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0
  for l = 4, open and 2 + 2 * lanes or 0, 2 do
    local levels, left, passed = lines(queue, ARGV[l]), tonumber(ARGV[l + 1]), 0
    for _, key in ipairs(levels) do
      repeat
        local got, popped = take(key, left)
        left, passed = left - got, passed + popped
      until got > 0 or popped == 0 or passed >= MOST_EMPTY
    end
    -- The baton: who leaves jobs behind, or took others instead of them, wakes the next fetcher.
    if (passed > 0 or left == 0) and redis.call('EXISTS', unpack(levels)) > 0 then ring(queue, ARGV[l]) end
    ARGV[l + 1] = left
  end
end

return {'ok', members, bodies, troubled(members)}
