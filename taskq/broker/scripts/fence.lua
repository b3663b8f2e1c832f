-- fence: declare worker processes dead that hold jobs and are neither alive nor declared dead: a supervisor reaps them then.
-- ARGV: 1.. epochs
-- returns: how many were declared dead
-- uses: held workers fenced
-- include: allow_oom
local fenced = 0
for i = 1, #ARGV do
  if not redis.call('ZSCORE', WORKERS, ARGV[i]) and redis.call('EXISTS', HELD .. ARGV[i]) == 1 then
    fenced = fenced + redis.call('SADD', FENCED, ARGV[i])
  end
end
return fenced
