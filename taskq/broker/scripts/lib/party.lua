-- party: who asks for places. A token is <party>/<number>/<places>. A party is a worker process, by its epoch, which lives until
-- it is declared dead; or another process, <process>@..., which has a lease of its own.
local function party_of(token) return string.match(token, '^(.*)/%d+/%d+$') or '' end
local function places_of(token) return tonumber(string.match(token, '/(%d+)$')) or 1 end
local function lives(stamp, party)
  return tonumber(redis.call('ZSCORE', PARTIES, party) or 0) > stamp or redis.call('ZSCORE', WORKERS, party)
end

-- Does who calls live? A lease of its own (in ms, '' for worker processes) is renewed; where it is `new`, it begins.
local function present(stamp, party, lease, new)
  if lease == '' then return redis.call('ZSCORE', WORKERS, party) end
  if not new and not redis.call('ZSCORE', PARTIES, party) then return false end
  redis.call('ZADD', PARTIES, stamp + lease, party)
  return true
end
