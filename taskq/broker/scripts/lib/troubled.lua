-- troubled: of members just claimed, those that failed or were lost before: {index, history, losses, ...}
local function troubled(members)
  local found = {}
  if #members == 0 or redis.call('EXISTS', ATTEMPTS, LOSSES) == 0 then return found end
  for i, member in ipairs(members) do
    local history, losses = redis.call('HGET', ATTEMPTS, id_of(member)), redis.call('HGET', LOSSES, id_of(member))
    if history or losses then
      for _, value in ipairs({i - 1, history or '', whole(losses)}) do found[#found + 1] = value end
    end
  end
  return found
end
