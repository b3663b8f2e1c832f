-- standing: where jobs stand apart from ready lists: for each id a list of {place, key, member}.
-- Looked at are the queues of `routes`, under these routes, and all holdings: of the living, the fenced, and `more`.
local function standing(ids, routes, more)
  local keys, known, found = {}, {}, {}
  for i = 1, #ids do found[i] = {} end
  local function add(place, key)
    if not known[key] then keys[#keys + 1] = {place, key} end
    known[key] = true
  end
  for _, epochs in ipairs({redis.call('ZREVRANGE', WORKERS, 0, -1), redis.call('SMEMBERS', FENCED), more}) do
    for _, epoch in ipairs(epochs) do add('held', HELD .. epoch) end
  end
  for _, place in ipairs({{'delayed', DELAYED}, {'parked', PARKED}, {'dead', DEAD}}) do
    for _, route in ipairs(routes) do add(place[1], place[2] .. split(route)) end
  end
  for _, route in ipairs(#ids > 0 and routes or {}) do
    local members = {}
    for i, id in ipairs(ids) do members[i] = id .. route end
    for _, place in ipairs(keys) do
      for i, score in ipairs(redis.call('ZMSCORE', place[2], unpack(members))) do
        if score then table.insert(found[i], {place = place[1], key = place[2], member = members[i]}) end
      end
    end
  end
  return found
end
