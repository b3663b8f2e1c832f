-- beckon: wake the next producer that waits for room in a queue: for one who was woken and does not want it any more.
-- ARGV: 1 queue
-- returns: how many tokens lie at their doorbell
-- uses: room terms
-- include: whole terms room
make_room(ARGV[1])
return redis.call('LLEN', ROOM .. ARGV[1])
