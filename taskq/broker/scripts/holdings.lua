-- holdings: every live worker process, what it is and what it holds (at most 1,000 members each).
-- returns: rows {epoch, lease left in ms, members it holds, {field, value, ...}}
-- uses: workers worker held
-- include: now
local rows, stamp = {}, now()
local leases = redis.call('ZRANGE', WORKERS, 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  local epoch = leases[i]
  rows[#rows + 1] = {
    epoch, math.floor(leases[i + 1] - stamp), redis.call('ZRANGE', HELD .. epoch, 0, 999),
    redis.call('HGETALL', WORKER .. epoch),
  }
end
return rows
