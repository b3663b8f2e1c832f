-- allow_oom: a server at maxmemory refuses a script at its first write that may grow memory, but lets a script
-- that has already written go on. Producers must be stopped then, never workers, or a full queue could not drain.
redis.call('DEL', KEYS[1] .. 'allow_oom')
