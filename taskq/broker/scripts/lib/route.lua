-- route: the parts of a member.
local function id_of(member) return string.sub(member, 1, 16) end
local function route_of(member) return string.sub(member, 17) end
local function split(route) return string.match(route, '^([^:]+):([^:]+)') end
