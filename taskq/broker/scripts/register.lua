-- register: make a worker process known and give it its first lease, where it knows the data model. An epoch is never used again.
-- ARGV: 1 epoch, 2 lease in ms, 3 schema that it speaks, 4.. field, value, ... of what it is
-- returns: the schema of the data: it is registered if that is its own; or nil where the epoch was declared dead
-- uses: workers worker fenced clock schema
-- include: allow_oom now
local epoch, stamp, schema = ARGV[1], now(), redis.call('GET', SCHEMA) or '1'
if schema ~= ARGV[3] then return schema end
if redis.call('SISMEMBER', FENCED, epoch) == 1 then return nil end
redis.call('SETNX', SCHEMA, schema)
redis.call('HSET', WORKER .. epoch, 'lease', ARGV[2])
for i = 4, #ARGV, 2 do redis.call('HSET', WORKER .. epoch, ARGV[i], ARGV[i + 1]) end
redis.call('HSETNX', CLOCK, 'beat', stamp) -- the outage guard counts from the first lease on
redis.call('ZADD', WORKERS, stamp + ARGV[2], epoch)
return schema
