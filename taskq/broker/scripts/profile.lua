-- profile: add what jobs of tasks took to what is known of them, of which the old counts less and less.
-- ARGV: 1 half-life in ms, 2 how many tasks there may be, 3.. task, lane, numbers with blanks between them, ...
-- returns: how many of the tasks were new
-- uses: profiles
-- include: allow_oom now
local stamp, new = now(), 0
local function words(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do found[#found + 1] = word end
  return found
end

local function number(word)
  return word and #word < 25 and string.match(word, '^[%d.e+-]+$') and tonumber(word) or 0
end

for i = 3, #ARGV, 3 do
  local task, lane, more = ARGV[i], ARGV[i + 1], words(ARGV[i + 2])
  local known = redis.call('HGET', PROFILES, task)
  if not known then
    new = new + 1
    local full = redis.call('HLEN', PROFILES) >= tonumber(ARGV[2])
    if full then redis.call('HDEL', PROFILES, redis.call('HRANDFIELD', PROFILES, 1)[1]) end
  end
  known = words(known)
  if known[1] ~= lane or #known ~= #more + 3 then known = {} end
  local weight = 0.5 ^ (math.max(0, stamp - number(known[3])) / ARGV[1])
  local first = number(known[2])
  local sum = {lane, string.format('%.0f', first > 0 and first or stamp), string.format('%.0f', stamp)}
  for j, word in ipairs(more) do
    sum[j + 3] = string.format('%.9g', number(known[j + 3]) * weight + number(word))
  end
  redis.call('HSET', PROFILES, task, table.concat(sum, ' '))
end
redis.call('EXPIRE', PROFILES, 604800)
return new
