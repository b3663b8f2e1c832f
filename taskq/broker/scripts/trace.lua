-- trace: what stands of some jobs everywhere but in line, and at the same instant the next part of some ready lists.
-- ARGV: 1 most members of a part, 2 how many lists N, 3 how many epochs E whose holdings count though nobody knows them,
--       then N times route, mark, read, edge (see stretch), then E epochs, then ids, up to 250
-- returns: {for each list {how many are left, members, newer members} or {} where its place is lost,
--          for each id what there is of it: 'body', 'record', 'cancelled', 'attempts', 'losses', 'waits', 'awaited', and its places}
-- uses: jobs result ready delayed parked dead held workers fenced attempts losses waits cancelled awaited
-- include: route stretch standing
local most, lists, more = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local parts, routes, epochs, ids, found = {}, {}, {}, {}, {}
for n = 1, lists do
  local at = 4 * n
  local part = stretch(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], most)
  routes[n] = ARGV[at]
  parts[n] = part and {part.left, part.members, part.newer} or {}
end
for e = 1, more do epochs[e] = ARGV[3 + 4 * lists + e] end
for i = 4 + 4 * lists + more, #ARGV do ids[#ids + 1] = ARGV[i] end

local hashes = {body = JOBS, cancelled = CANCELLED, attempts = ATTEMPTS, losses = LOSSES, waits = WAITS, awaited = AWAITED}
for i, rows in ipairs(standing(ids, routes, epochs)) do
  found[i] = redis.call('EXISTS', RESULT .. ids[i]) == 1 and {'record'} or {}
  for name, key in pairs(hashes) do
    if redis.call('HEXISTS', key, ids[i]) == 1 then table.insert(found[i], name) end
  end
  for _, row in ipairs(rows) do table.insert(found[i], row.place) end
end
return {parts, found}
