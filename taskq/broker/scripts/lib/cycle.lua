-- cycle: who waits for whom. A note counts as long as the worker process that wrote it holds the job that waits.
local MOST_NOTES = 1000
local function note(epoch, member, task, ids)
  return string.format('%5d%5d%5d', #epoch, #member, #task) .. epoch .. member .. task .. table.concat(ids)
end

-- The task of a job that waits, and the ids that it waits for; nothing where it does not wait (any more).
local function noted(id)
  local text, ids = redis.call('HGET', WAITS, id), {}
  if not text then return nil, ids end
  local ends = {15}
  for n = 1, 3 do ends[n + 1] = ends[n] + (tonumber(string.sub(text, 5 * n - 4, 5 * n)) or 0) end
  local epoch, member = string.sub(text, 16, ends[2]), string.sub(text, ends[2] + 1, ends[3])
  if not redis.call('ZSCORE', HELD .. epoch, member) then return nil, ids end
  for i = ends[4] + 1, #text, 16 do ids[#ids + 1] = string.sub(text, i, i + 15) end
  return string.sub(text, ends[3] + 1, ends[4]), ids
end

-- {id, task, id, task, ...} from this job to one that waits for it; nil where none of the jobs that it waits for does.
local function cycle(waiter, task, ids)
  local before, tasks, line = {}, {[waiter] = task}, {}
  local function follow(from, targets)
    for _, id in ipairs(targets) do
      if id == waiter then return true end
      if not before[id] then before[id], line[#line + 1] = from, id end
    end
  end
  local last, at = follow(waiter, ids) and waiter, 1
  while not last and line[at] and at <= MOST_NOTES do
    local name, targets = noted(line[at])
    tasks[line[at]] = name
    if follow(line[at], targets) then last = line[at] end
    at = at + 1
  end
  local chain = {}
  while last do
    table.insert(chain, 1, tasks[last])
    table.insert(chain, 1, last)
    last = before[last]
  end
  return #chain > 0 and chain or nil
end
