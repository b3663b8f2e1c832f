-- lease: may this worker process take jobs? 'ok', 'expired' until its supervisor renews the lease, 'fenced' for ever.
local function lease_of(epoch)
  local lease = redis.call('ZSCORE', WORKERS, epoch)
  if not lease then return 'fenced' end
  return tonumber(lease) > now() and 'ok' or 'expired'
end
