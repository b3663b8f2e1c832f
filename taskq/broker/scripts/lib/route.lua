-- route: the parts of a member. One whose route names no line (whoever wrote it) goes by that of 'default:io'.
local function id_of(member) return string.sub(member, 1, 16) end
local function route_of(member) return string.sub(member, 17) end
local function split(route)
  local queue, lane = string.match(#route < 120 and route or '', '^([%w_.%-]+):(%l+)')
  if queue then return queue, lane end
  return 'default', 'io'
end
