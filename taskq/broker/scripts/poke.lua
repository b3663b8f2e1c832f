-- poke: make the door of a worker process come back, to go out again for other lanes.
-- ARGV: 1 epoch
-- returns: how many tokens lie at its doorbell; none where it was declared dead, as nobody would take them away
-- uses: poke workers
-- include: allow_oom
return redis.call('ZSCORE', WORKERS, ARGV[1]) and redis.call('RPUSH', POKE .. ARGV[1], '1') or 0
