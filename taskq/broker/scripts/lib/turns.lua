-- turns: how many of `want` jobs each level of a line gives, highest first. Of each 16 jobs that are claimed from the line the
-- last is left to the lower levels, which take turns at it, so that none starves. Kept is 16 x the level whose turn was
-- last (the highest is 1) + how many jobs were claimed since.
local function turns(line, levels, want)
  local counts, lengths, kept = {}, {}, whole(redis.call('HGET', TURNS, line))
  local since, last, given = kept % 16, math.floor(kept / 16), 0
  local first = want - math.floor((since + want) / 16)
  for i, key in ipairs(levels) do
    lengths[i] = redis.call('LLEN', key)
    counts[i] = math.min(first - given, lengths[i])
    given = given + counts[i]
  end

  local function has(i) return counts[i] < lengths[i] end
  local function turn()
    local top = 1
    while levels[top] and not has(top) do top = top + 1 end
    for step = 0, #levels - 1 do
      local i = (last + step) % #levels + 1
      if i > top and has(i) then return i end
    end
    return levels[top] and top
  end
  while given < want do
    local level = turn()
    if not level then break end
    counts[level], given, last = counts[level] + 1, given + 1, level
  end
  if given > 0 then redis.call('HSET', TURNS, line, string.format('%d', 16 * last + (since + given) % 16)) end
  return counts
end
