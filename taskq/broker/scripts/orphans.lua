-- orphans: which of these worker processes hold jobs though they are neither alive nor declared dead: nobody will reap them.
-- ARGV: 1.. epochs
-- returns: for each how many jobs it holds, 0 where it is known
-- uses: held workers fenced
local counts = {}
for i = 1, #ARGV do
  local known = redis.call('ZSCORE', WORKERS, ARGV[i]) or redis.call('SISMEMBER', FENCED, ARGV[i]) == 1
  counts[i] = known and 0 or redis.call('ZCARD', HELD .. ARGV[i])
end
return counts
