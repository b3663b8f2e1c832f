-- purge: forget up to 500 of the jobs that stand in one ready list.
-- ARGV: 1 route
-- returns: {how many were forgotten, how many are left in that list}
-- uses: ready jobs attempts losses cancelled awaited reply
-- include: allow_oom route tell
local key, ids = READY .. ARGV[1], {}
for i, member in ipairs(redis.call('LRANGE', key, 0, 499)) do ids[i] = id_of(member) end
if #ids == 0 then return {0, 0} end
local gone = redis.call('HDEL', JOBS, unpack(ids))
redis.call('HDEL', ATTEMPTS, unpack(ids))
redis.call('HDEL', LOSSES, unpack(ids))
redis.call('HDEL', CANCELLED, unpack(ids))
tell(ids)
redis.call('LPOP', key, #ids)
return {gone, redis.call('LLEN', key)}
