-- locate: in which place a job is: its state, its member, and the key or epoch that has it.
local function locate(id, route)
  if redis.call('HEXISTS', JOBS, id) == 0 then
    return redis.call('EXISTS', RESULT .. id) == 1 and 'done' or 'unknown'
  end
  local queue = split(route)
  for _, member in ipairs({id .. route, id .. queue .. ':solo'}) do
    for state, key in pairs({dead = DEAD .. queue, delayed = DELAYED .. queue, parked = PARKED .. queue}) do
      if redis.call('ZSCORE', key, member) then return state, member, key end
    end
    for _, epochs in ipairs({redis.call('ZRANGE', WORKERS, 0, -1), redis.call('SMEMBERS', FENCED)}) do
      for _, epoch in ipairs(epochs) do
        if redis.call('ZSCORE', HELD .. epoch, member) then return 'running', member, epoch end
      end
    end
  end
  return 'queued', id .. route
end
