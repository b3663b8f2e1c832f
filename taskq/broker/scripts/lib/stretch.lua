-- stretch: the next part of a ready list for somebody who reads it from its end towards its head, in many visits.
-- He knows the mark (the last member at his last visit), how many members he has read from there on, and the edge (the
-- one he read last). What came behind the mark since is read too. Members come and go at the ends only: as long as the
-- edge is where it was, all that he has read still stands there. Without a mark he begins. false: the place is lost.
local function stretch(route, mark, read, edge, most)
  local key, part = READY .. route, {}
  local length = redis.call('LLEN', key)
  part.mark, read = length - 1, tonumber(read)
  if mark ~= '' then
    part.mark = redis.call('LPOS', key, mark, 'RANK', -1, 'MAXLEN', 20000)
    local at = part.mark and part.mark - read + 1 or -1
    if at < 0 or redis.call('LINDEX', key, at) ~= edge then return false end
  end
  local unread = part.mark - read + 1
  part.first = math.max(0, unread - most)
  part.left = part.first
  part.members = unread > 0 and redis.call('LRANGE', key, part.first, unread - 1) or {}
  part.newer = part.mark < length - 1 and redis.call('LRANGE', key, part.mark + 1, -1) or {}
  return part
end
