-- locate: the state of a job, who has it, its body, record, history and losses.
-- ARGV: 1 id, 2 route, or '' to have only body and record looked up
-- returns: {state, epoch or '', due time in ms or '', body or '', record or '', history or '', losses}
-- uses: jobs result dead delayed parked held workers fenced attempts losses
-- include: route locate whole
local id = ARGV[1]
local state, member, where = 'unknown', nil, nil
if ARGV[2] ~= '' then state, member, where = locate(id, ARGV[2]) end
local due = (state == 'delayed' or state == 'parked') and redis.call('ZSCORE', where, member) or ''
return {
  state,
  state == 'running' and where or '',
  due,
  redis.call('HGET', JOBS, id) or '',
  redis.call('GET', RESULT .. id) or '',
  redis.call('HGET', ATTEMPTS, id) or '',
  whole(redis.call('HGET', LOSSES, id)),
}
