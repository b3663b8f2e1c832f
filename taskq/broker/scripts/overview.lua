-- overview: one row for each queue that ever had a job.
-- ARGV: 1 how many minutes of counters to add up
-- returns: rows {queue, ready, delayed, parked, dead, paused by or '', body of the oldest in line or '', {counter, n, ...},
--          terms that were declared or ''}
-- uses: ready jobs delayed parked dead queues config stats levels terms
-- include: now route lines whole terms
local rows, minute = {}, math.floor(now() / 60000)
local function waiting(queue)
  local ready, oldest, place = 0, '', terms(queue) == 'LPUSH' and -1 or 0
  for _, lane in ipairs(LANES) do
    for _, key in ipairs(redis.call('EXISTS', unpack(lines(queue, lane))) > 0 and lines(queue, lane) or {}) do
      local first = redis.call('LINDEX', key, place)
      if first and oldest == '' then oldest = redis.call('HGET', JOBS, id_of(first)) or '' end
      ready = ready + redis.call('LLEN', key)
    end
  end
  return ready, oldest
end

local function counters(queue)
  local sum, flat = {}, {}
  for ago = 0, ARGV[1] - 1 do
    local fields = redis.call('HGETALL', STATS .. queue .. ':' .. string.format('%d', minute - ago))
    for i = 1, #fields, 2 do sum[fields[i]] = (sum[fields[i]] or 0) + whole(fields[i + 1]) end
  end
  for field, n in pairs(sum) do flat[#flat + 1], flat[#flat + 2] = field, n end
  return flat
end

for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  local ready, oldest = waiting(queue)
  rows[#rows + 1] = {
    queue, ready, redis.call('ZCARD', DELAYED .. queue), redis.call('ZCARD', PARKED .. queue),
    redis.call('ZCARD', DEAD .. queue), redis.call('HGET', CONFIG .. queue, 'paused') or '', oldest, counters(queue),
    redis.call('GET', TERMS .. queue) or '',
  }
end
return rows
