-- lanes: the lanes in which jobs stand in line though their queue is open and their doorbell is silent.
-- ARGV: 1.. queues
-- returns: rows {queue, lane, first member of each of its lists}
-- uses: ready config wake levels
-- include: lines
local rows = {}
for i = 1, #ARGV do
  local queue = ARGV[i]
  for _, lane in ipairs(redis.call('HEXISTS', CONFIG .. queue, 'paused') == 0 and LANES or {}) do
    local silent, row = redis.call('EXISTS', WAKE .. queue .. ':' .. lane) == 0, {queue, lane}
    for _, key in ipairs(silent and lines(queue, lane) or {}) do row[#row + 1] = redis.call('LINDEX', key, 0) or nil end
    if #row > 2 then rows[#rows + 1] = row end
  end
end
return rows
