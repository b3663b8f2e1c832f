-- stand: put a job in its line, by LPUSH at the head or RPUSH at the end; or where it stood before, if that place was kept.
local kept = redis.call('EXISTS', CANCELLED) == 1
local function stand(push, member)
  local id, route = id_of(member), line_of(member)
  if kept and redis.call('HGET', CANCELLED, id) == route then
    redis.call('HDEL', CANCELLED, id)
  else
    redis.call(push, READY .. route, member)
  end
  ring(split(route))
end
