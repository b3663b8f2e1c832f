-- share: how many of `want` jobs of a lane each queue gives, of queues as in 'mail=6'. Those that have jobs share by weight: job
-- for job comes from the queue with the most credit (smooth weighted round robin), which this worker process keeps from
-- claim to claim.
local function share(epoch, lane, want, queues)
  local counts, weights, lengths, fields, kept = {}, {}, {}, {}, {}
  for n, word in ipairs(queues) do
    local queue, weight = string.match(word, '^([^=]*)=?(%d*)$')
    local open = redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0
    counts[word], weights[n], fields[n] = 0, tonumber(weight) or 1, 'credit:' .. lane .. ':' .. queue
    lengths[n] = want > 0 and open and length(queue, lane) or 0
  end
  local credits = redis.call('HMGET', WORKER .. epoch, unpack(fields))
  for n, credit in ipairs(credits) do credits[n] = tonumber(string.match(credit or '', '^-?%d%d?%d?%d?%d?%d?$') or 0) end
  for _ = 1, want do
    local best, total = nil, 0
    for n, weight in ipairs(weights) do
      if lengths[n] > 0 then
        credits[n], total = credits[n] + weight, total + weight
        if not best or credits[n] > credits[best] then best = n end
      end
    end
    if not best then break end
    counts[queues[best]], credits[best] = counts[queues[best]] + 1, credits[best] - total
    lengths[best] = lengths[best] - 1
  end
  for n, field in ipairs(fields) do kept[2 * n - 1], kept[2 * n] = field, string.format('%d', credits[n]) end
  redis.call('HSET', WORKER .. epoch, unpack(kept))
  return counts
end
