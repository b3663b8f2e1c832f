-- renew: renew the lease of a party, and compare what it holds and waits for with what it knows of.
-- ARGV: 1 party, 2 lease in ms or '' for a worker process, 3 how many tokens it knows of
-- returns: {1, or 0 where it was declared dead; 1 where there are not as many; then each "<sync> <token>" that there is}
-- uses: workers parties stakes
-- include: allow_oom now party
local alive = present(now(), ARGV[1], ARGV[2], false) and 1 or 0
if redis.call('SCARD', STAKES .. ARGV[1]) == tonumber(ARGV[3]) then return {alive, 0, {}} end
return {alive, 1, redis.call('SMEMBERS', STAKES .. ARGV[1])}
