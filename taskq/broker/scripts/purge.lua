-- purge: forget up to 500 of the jobs that stand in one ready list, and the empty places between them.
-- ARGV: 1 route
-- returns: {how many were forgotten, how many are left in that list}
-- uses: ready jobs attempts losses waits cancelled awaited reply terms room
-- include: allow_oom route tell whole terms room
local key, line, ids, gone = READY .. ARGV[1], redis.call('LRANGE', READY .. ARGV[1], 0, 499), {}, 0
for _, member in ipairs(line) do
  local id = id_of(member)
  if redis.call('HGET', CANCELLED, id) ~= ARGV[1] then
    ids[#ids + 1] = id
  else
    redis.call('HDEL', CANCELLED, id)
  end
end
if #ids > 0 then
  gone = redis.call('HDEL', JOBS, unpack(ids))
  for _, key in ipairs({ATTEMPTS, LOSSES, WAITS}) do redis.call('HDEL', key, unpack(ids)) end
  tell(ids)
end
if #line > 0 then
  redis.call('LPOP', key, #line)
  make_room((split(ARGV[1])))
end
return {gone, redis.call('LLEN', key)}
