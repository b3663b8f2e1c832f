-- terms: how jobs get in line in a queue, and how many may stand there (0: any number), by what was declared: 'lifo 1000'.
local function terms(queue)
  local order, bound = string.match(redis.call('GET', TERMS .. queue) or '', '^(%l+) (%d+)$')
  return order == 'lifo' and 'LPUSH' or 'RPUSH', whole(bound)
end
