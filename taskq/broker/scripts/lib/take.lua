-- take: move up to `want` jobs from the head of a ready list to what a worker process holds; how many came, and how many places
-- are gone. Places that are empty, or hold no job, are passed over; where there are only such, up to 500 and those of one step.
local MOST_EMPTY = 500

-- Held first, then out of line: whatever prefix of these writes survives a crash, no job is in no place.
local function step(claim, key, want)
  local line = redis.call('LRANGE', key, 0, want - 1)
  if #line == 0 then return 0, 0 end
  local ids, holds, route = {}, {}, string.sub(key, #READY + 1)
  for i, member in ipairs(line) do ids[i] = id_of(member) end
  local places = claim.kept and redis.call('HMGET', CANCELLED, unpack(ids)) or {}
  for i, body in ipairs(redis.call('HMGET', JOBS, unpack(ids))) do
    if body and #ids[i] == 16 and places[i] ~= route then
      local n = #claim.members + 1
      claim.members[n], claim.bodies[n] = ids[i] .. route, body
      holds[#holds + 1], holds[#holds + 2] = string.format('%d', claim.sequence + n), claim.members[n]
    else
      redis.call('HDEL', CANCELLED, ids[i])
    end
  end
  if #holds > 0 then redis.call('ZADD', HELD .. claim.epoch, unpack(holds)) end
  redis.call('LPOP', key, #line)
  return #holds / 2, #line
end

local function take(claim, key, want)
  local got, gone, popped = 0, 0, want
  while want > 0 and got == 0 and popped > 0 and gone < MOST_EMPTY do
    got, popped = step(claim, key, want)
    gone = gone + popped
  end
  return got, gone
end
