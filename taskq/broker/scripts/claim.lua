-- claim: move jobs from the ready lists to what this worker process holds. Never sent twice.
-- What stands in a line has the route of that line, whatever is written in it; empty places, and what is no job, go.
-- ARGV: 1 epoch, 2 sequence number of the first, 3 how many lanes L, then L pairs lane, want, then queues in order, or 'name=weight'
-- returns: {'ok', members, bodies, {index, history, losses, ...} of those that failed or were lost before},
--          {'expired'} while the lease has run out, {'fenced'} once the epoch was declared dead
-- uses: ready jobs held attempts losses cancelled workers worker wake config terms room levels turns
-- include: allow_oom now route ring lines baton length lease whole terms room troubled share turns take
local epoch, sequence, lanes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local last, lease, shares = 2 + 2 * lanes, lease_of(epoch), {}
if lease ~= 'ok' then
  -- The bell that it may have heard was for somebody else.
  for q = 4 + 2 * lanes, #ARGV do
    for l = 4, last, 2 do pass_on(string.match(ARGV[q], '^[^=]*'), ARGV[l]) end
  end
  return {lease}
end

local claim = {epoch = epoch, sequence = sequence, members = {}, bodies = {}, kept = redis.call('EXISTS', CANCELLED) == 1}
for l = 4, string.find(ARGV[#ARGV], '=', 1, true) and last or 0, 2 do
  shares[l] = share(epoch, ARGV[l], tonumber(ARGV[l + 1]), {unpack(ARGV, last + 2)})
end
for q = 4 + 2 * lanes, #ARGV do
  local queue, freed = shares[4] and string.match(ARGV[q], '^[^=]*') or ARGV[q], 0
  local known = redis.call('EXISTS', CONFIG .. queue, TERMS .. queue) > 0
  local open = not known or redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0
  for l = 4, open and last or 0, 2 do
    local levels, left, passed = lines(queue, ARGV[l]), tonumber(ARGV[l + 1]), 0
    local want = shares[l] and shares[l][ARGV[q]] or left
    local counts = levels[2] and want > 0 and turns(queue .. ':' .. ARGV[l], levels, want)
    for i, key in ipairs(levels) do
      local got, gone = take(claim, key, counts and counts[i] or want)
      left, passed = left - got, passed + gone
    end
    -- The baton: who leaves jobs behind, or took others instead of them, wakes the next fetcher.
    if (passed > 0 or left == 0) and redis.call('EXISTS', unpack(levels)) > 0 then ring(queue, ARGV[l]) end
    ARGV[l + 1], freed = left, freed + passed
  end
  if freed > 0 and known then make_room(queue) end
end
return {'ok', claim.members, claim.bodies, troubled(claim.members)}
