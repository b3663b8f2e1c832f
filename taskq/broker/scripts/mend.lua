-- mend: leave each of these jobs in one place, or in none where it has ended, and nothing of it that contradicts that.
-- An outcome rules; else a job stays held, else in line (solo first), else delayed, parked, dead; else it goes back in line.
-- Without lists nobody looked where jobs stand: then one that has a body by now is left as it is.
-- ARGV: 1 most members of a part, 2 how many lists N (a solo lane's last), 3 how many epochs E as in trace, 4 an unused id,
--       5 record for dead letters that have none, 6 ttl in ms of a record whose dead letter is gone,
--       then N times route, mark, read, edge (see stretch), then E epochs,
--       then id, 'list:distance from the mark ...' where it was seen in line before, ...
-- returns: for each id the place it is in now, 'ended', or 'left'; nothing, and nothing was done, where the lists have moved on
-- uses: jobs result ready delayed parked dead held workers fenced attempts losses waits cancelled awaited reply queues levels wake config
-- include: allow_oom now route line ring tell stretch standing mending
local most, lists, more = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local spare, record, ttl = ARGV[4], ARGV[5], ARGV[6]
local parts, routes, epochs, ids, spots = {}, {}, {}, {}, {}
for n = 1, lists do
  local at = 3 + 4 * n
  parts[n] = stretch(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], most)
  routes[n] = ARGV[at]
  if not parts[n] or parts[n].left > 0 then return {} end
end
for e = 1, more do epochs[e] = ARGV[6 + 4 * lists + e] end

local function see(id, n, index)
  local key = READY .. routes[n]
  local member = spots[id] and index >= 0 and redis.call('LINDEX', key, index)
  if member and id_of(member) == id then
    table.insert(spots[id], {place = 'ready', key = key, member = member, list = n, index = index})
  end
end
for i = 7 + 4 * lists + more, #ARGV, 2 do
  local id = ARGV[i]
  ids[#ids + 1], spots[id] = id, {}
  for n, distance in string.gmatch(ARGV[i + 1], '(%d+):(-?%d+)') do
    see(id, tonumber(n), parts[tonumber(n)].mark - distance)
  end
end
for n, part in ipairs(parts) do
  for i, member in ipairs(part.members) do see(id_of(member), n, part.first + i - 1) end
  for i, member in ipairs(part.newer) do see(id_of(member), n, part.mark + i) end
end

local places, standings = {}, standing(ids, routes, epochs)
for i, id in ipairs(ids) do
  local all = standings[i]
  for _, spot in ipairs(spots[id]) do table.insert(all, spot) end
  if lists == 0 and redis.call('HEXISTS', JOBS, id) == 1 then
    places[i] = 'left'
  else
    local stays, place = settle(id, id .. (routes[1] or ''), all, record)
    for n, other in ipairs(all) do
      if other ~= stays then leave(other, string.sub(spare, 1, 12) .. string.format('%02x%02x', i % 256, n % 256)) end
    end
    forget(id, place == 'ended', ttl)
    places[i] = place
  end
end
return places
