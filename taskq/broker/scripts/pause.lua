-- pause: stop handing out a queue's jobs. What runs goes on.
-- ARGV: 1 queue, 2 who and when
-- returns: 1 where it was not paused before
-- uses: config queues
-- include: allow_oom
redis.call('SADD', QUEUES, ARGV[1])
return redis.call('HSETNX', CONFIG .. ARGV[1], 'paused', ARGV[2])
