-- permits: how many jobs of a task run, and who is next. A permit is '<epoch> <member>' of the process that holds the job; or
-- '+<ms>': a promise until then, to a job that was put in line for it.
local PROMISE = 60000
local function promise(task, id, stamp)
  redis.call('HSET', PERMITS .. task, id, '+' .. string.format('%d', stamp + PROMISE))
end

local function held_by(permit)
  local epoch, member = string.match(permit, '^(%S+) (.+)$')
  return epoch and redis.call('ZSCORE', HELD .. epoch, member) and epoch, member
end

-- A job that has gone back in line keeps its place, as a promise; of one that is anywhere else nothing is left.
local function look_at_permit(task, id, permit, stamp)
  local promised = tonumber(string.match(permit, '^%+(%d+)$'))
  local holder, member = held_by(permit)
  if holder then return end
  local queue = split(route_of(member or ''))
  local aside = member and (redis.call('ZSCORE', DELAYED .. queue, member) or redis.call('ZSCORE', DEAD .. queue, member)
    or redis.call('ZSCORE', PARKED .. queue, member))
  if redis.call('HEXISTS', JOBS, id) == 0 or aside or (promised and promised <= stamp) or not (promised or member) then
    redis.call('HDEL', PERMITS .. task, id)
  elseif member then
    promise(task, id, stamp)
  end
end

local function look_at_permits(task, stamp)
  local flat = redis.call('HGETALL', PERMITS .. task)
  for i = 1, #flat, 2 do look_at_permit(task, flat[i], flat[i + 1], stamp) end
end

-- Who is next: `here` are members that stand before the door; the others wait among what is delayed, and go to the head of
-- their line with a promise. The answer is which of those here go in.
local function call_in(task, limit, here, stamp)
  local free, inside, called = limit - redis.call('HLEN', PERMITS .. task), {}, {}
  for _, member in ipairs(free > 0 and redis.call('ZRANGE', LIMITED .. task, 0, free + 199) or {}) do
    if free <= 0 then break end
    local delayed = not here[member] and redis.call('ZSCORE', DELAYED .. split(route_of(member)), member)
    if here[member] then inside[#inside + 1] = member end
    if delayed then called[#called + 1] = member end
    if here[member] or delayed then
      promise(task, id_of(member), stamp)
      free = free - 1
    end
    redis.call('ZREM', LIMITED .. task, member)
  end
  for i = #called, 1, -1 do
    stand('LPUSH', called[i])
    redis.call('ZREM', DELAYED .. split(route_of(called[i])), called[i])
  end
  return inside
end
