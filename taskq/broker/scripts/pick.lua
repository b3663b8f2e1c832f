-- pick: a running job waits for others: note for whom, refuse a wait without end, and claim the first of them that is in line.
-- Its line is not searched: at an end of it the job is taken out, elsewhere it leaves an empty place. Not taken are jobs of
-- other queues than those of the worker, of paused ones, and those that were lost before: they may end the job that waits.
-- Never sent twice.
-- ARGV: 1 epoch, 2 member of the job that waits, 3 its task, 4 how many queues Q, then Q queues, then id, route, ... (up to 100)
-- returns: {'ok', members, bodies, {index, history, losses, ...}} as claim does, with one job or none; {'expired'}; {'fenced'};
--          {'cycle', id, task, id, task, ...} from the job that waits to one that waits for it
-- uses: ready jobs held dead delayed parked result attempts losses cancelled waits workers fenced config terms room
-- include: allow_oom now route locate lease whole terms room troubled cycle
local epoch, waiter = ARGV[1], ARGV[2]
local lease = lease_of(epoch)
if lease == 'fenced' or not redis.call('ZSCORE', HELD .. epoch, waiter) then return {'fenced'} end

local ids, served = {}, {}
for i = 5 + ARGV[4], #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local chain = cycle(id_of(waiter), ARGV[3], ids)
if chain then return {'cycle', unpack(chain)} end
redis.call('HSET', WAITS, id_of(waiter), note(epoch, waiter, ARGV[3], ids))
if lease ~= 'ok' then return {lease} end

for q = 5, 4 + ARGV[4] do
  if redis.call('HEXISTS', CONFIG .. ARGV[q], 'paused') == 0 then served[ARGV[q]] = true end
end

local function vacate(member)
  local line = READY .. route_of(member)
  for index, pop in pairs({[0] = 'LPOP', [-1] = 'RPOP'}) do
    if redis.call('LINDEX', line, index) == member then
      redis.call(pop, line)
      return make_room((split(route_of(member))))
    end
  end
  redis.call('HSET', CANCELLED, id_of(member), route_of(member))
end

local members, bodies = {}, {}
for i = 5 + ARGV[4], #ARGV, 2 do
  local id, member = ARGV[i], ARGV[i] .. ARGV[i + 1]
  local suspect = redis.call('HEXISTS', LOSSES, id) == 1 or redis.call('HEXISTS', CANCELLED, id) == 1
  if served[(split(ARGV[i + 1]))] and not suspect and locate(id, ARGV[i + 1]) == 'queued' then
    members[1], bodies[1] = member, redis.call('HGET', JOBS, id)
    redis.call('ZADD', HELD .. epoch, 0, member)
    vacate(member)
    break
  end
end
return {'ok', members, bodies, troubled(members)}
