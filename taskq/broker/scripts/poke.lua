-- poke: make the door of a worker process come back, to go out again for other lanes.
-- ARGV: 1 epoch
-- returns: how many tokens lie at its doorbell
-- uses: poke
-- include: allow_oom
return redis.call('RPUSH', POKE .. ARGV[1], '1')
