-- drop: note and count an outcome that comes too late: its job runs elsewhere, or has another outcome.
local function drop(stamp, member, dropped)
  dropped[#dropped + 1] = member
  count(stamp, split(route_of(member)), 'dropped', 1)
end
