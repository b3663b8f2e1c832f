-- unpark: claim parked jobs, for a worker that knows their task. Never sent twice.
-- ARGV: 1 epoch, 2 sequence number of the first, 3.. members
-- returns: as claim does
-- uses: jobs held parked attempts losses workers
-- include: allow_oom now route lease troubled
local epoch, sequence = ARGV[1], tonumber(ARGV[2])
local lease = lease_of(epoch)
if lease ~= 'ok' then return {lease} end

local members, bodies = {}, {}
for i = 3, #ARGV do
  local member = ARGV[i]
  local parked = PARKED .. split(route_of(member))
  local body = redis.call('HGET', JOBS, id_of(member))
  if body and redis.call('ZSCORE', parked, member) then
    members[#members + 1], bodies[#bodies + 1] = member, body
    redis.call('ZADD', HELD .. epoch, string.format('%d', sequence + #members), member)
    redis.call('ZREM', parked, member)
  end
end
return {'ok', members, bodies, troubled(members)}
