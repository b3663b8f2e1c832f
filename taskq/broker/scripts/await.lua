-- await: outcome records that are there; for jobs that have none yet, remember who waits.
-- ARGV: 1 client (8 bytes), 2.. ids
-- returns: for each id its record, '' where there is no such job, or nil where the client will be told
-- uses: jobs result awaited
-- include: allow_oom
local client, answers = ARGV[1], {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local record = redis.call('GET', RESULT .. id)
  if not record and redis.call('HEXISTS', JOBS, id) == 0 then record = '' end
  if not record then
    local clients, there = redis.call('HGET', AWAITED, id) or '', false
    for start = 1, #clients, 8 do there = there or string.sub(clients, start, start + 7) == client end
    if not there then redis.call('HSET', AWAITED, id, clients .. client) end
  end
  answers[#answers + 1] = record
end
return answers
