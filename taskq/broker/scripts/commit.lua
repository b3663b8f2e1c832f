-- commit: give finished jobs their outcome, tell who waits, and let go of them.
-- ARGV: 1 epoch, 2.. member, ttl of the record in ms, run-time bucket, record, ...
-- returns: the members whose outcome was dropped, because this epoch no longer held them or they already had one;
--          not those of which this very outcome is stored: then the answer to an earlier sending was lost
-- uses: jobs held attempts losses waits result awaited reply stats
-- include: allow_oom now route count drop tell
local held, stamp = HELD .. ARGV[1], now()
local members, ids, dropped, tally = {}, {}, {}, {}
for i = 2, #ARGV, 4 do members[#members + 1] = ARGV[i] end
local holds = redis.call('ZMSCORE', held, unpack(members))

members = {}
for i = 2, #ARGV, 4 do
  local member, ttl, bucket = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local id, queue = id_of(member), split(route_of(member))
  local mine = holds[(i + 2) / 4]
  local stored = mine and (ttl == '0' or redis.call('SET', RESULT .. id, ARGV[i + 3], 'PX', ttl, 'NX'))
  if mine then members[#members + 1], ids[#ids + 1] = member, id end
  if stored then
    tally[queue] = tally[queue] or {done = 0}
    tally[queue].done = tally[queue].done + 1
    tally[queue][bucket] = (tally[queue][bucket] or 0) + 1
  elseif redis.call('GET', RESULT .. id) ~= ARGV[i + 3] then
    drop(stamp, member, dropped)
  end
end

if #members > 0 then
  for queue, fields in pairs(tally) do
    for field, n in pairs(fields) do count(stamp, queue, field, n) end
  end
  tell(ids)
  if redis.call('EXISTS', ATTEMPTS) == 1 then redis.call('HDEL', ATTEMPTS, unpack(ids)) end
  if redis.call('EXISTS', LOSSES) == 1 then redis.call('HDEL', LOSSES, unpack(ids)) end
  if redis.call('EXISTS', WAITS) == 1 then redis.call('HDEL', WAITS, unpack(ids)) end
  redis.call('HDEL', JOBS, unpack(ids))
  redis.call('ZREM', held, unpack(members))
end
return dropped
