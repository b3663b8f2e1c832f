-- line: the ready list in which a member can stand, as its suffix: one that workers look at.
local SERVED = {io = true, cpu = true, async = true, solo = true}
local function line_of(member)
  local route = route_of(member)
  local lane = string.match(route, '^[%w_.%-]+:(%l+)$') or string.match(route, '^[%w_.%-]+:(%l+):%d$')
  return SERVED[lane] and #route < 120 and route or 'default:io'
end
