-- unpark: claim parked jobs of queues that are not paused, for a worker that knows their task. Never sent twice.
-- ARGV: 1 epoch, 2 sequence number of the first, 3.. members
-- returns: as claim does
-- uses: jobs held parked attempts losses workers config
-- include: allow_oom now route lease whole troubled
local epoch, sequence = ARGV[1], tonumber(ARGV[2])
local lease = lease_of(epoch)
if lease ~= 'ok' then return {lease} end

local members, bodies = {}, {}
for i = 3, #ARGV do
  local member = ARGV[i]
  local queue = split(route_of(member))
  local open = redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0
  local body = open and redis.call('ZSCORE', PARKED .. queue, member) and redis.call('HGET', JOBS, id_of(member))
  if body then
    members[#members + 1], bodies[#bodies + 1] = member, body
    redis.call('ZADD', HELD .. epoch, string.format('%d', sequence + #members), member)
    redis.call('ZREM', PARKED .. queue, member)
  end
end
return {'ok', members, bodies, troubled(members)}
