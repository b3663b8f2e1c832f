-- give_back: put jobs that were not started back at the head of their line, in order, uncounted.
-- ARGV: 1 epoch, 2.. members in claim order
-- returns: how many were held
-- uses: ready held cancelled wake config
-- include: allow_oom route line ring stand
local held, moved = HELD .. ARGV[1], 0
for i = #ARGV, 2, -1 do
  local member = ARGV[i]
  if redis.call('ZSCORE', held, member) then
    stand('LPUSH', member)
    redis.call('ZREM', held, member)
    moved = moved + 1
  end
end
return moved
