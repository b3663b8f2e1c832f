-- give_back: put jobs that were not started back at the head of their line, in order, uncounted.
-- ARGV: 1 epoch, 2.. members in claim order
-- returns: how many were held
-- uses: ready held wake config
-- include: allow_oom route line ring
local held, moved = HELD .. ARGV[1], 0
for i = #ARGV, 2, -1 do
  local member = ARGV[i]
  if redis.call('ZSCORE', held, member) then
    local route = line_of(member)
    redis.call('LPUSH', READY .. route, member)
    redis.call('ZREM', held, member)
    ring(split(route))
    moved = moved + 1
  end
end
return moved
