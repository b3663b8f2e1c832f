-- abort: break a barrier, for who waits there and for who comes; or begin anew with it, which breaks it for who waits there.
-- ARGV: 1 sync, 2 token of who has waited for too long, or '', 3 '1' to begin anew
-- returns: the place of the token in the order of arrival from 1 on, where all have come after all; -2: it is broken; else 0
-- uses: workers parties holders waiters stakes granted broken
-- include: allow_oom party grant disband
local sync, token = ARGV[1], ARGV[2]
local place = redis.call('ZSCORE', HOLDERS .. sync, token)
if place then return tonumber(place) end
if token ~= '' and not redis.call('ZSCORE', WAITERS .. sync, token) then return -2 end -- it was broken, and may be anew by now
break_up(sync)
if ARGV[3] == '1' then redis.call('DEL', BROKEN .. sync) end
return token ~= '' and -2 or 0
