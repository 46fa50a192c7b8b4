-- Hands a process to the least loaded worker with a free slot, or to the ready list.
-- KEYS: 1 pids  2 workers  3 starting  4 ready  5 keys
-- ARGV: 1 base of session keys  2 uid  3 parent's uid  4 name  5 frame body  6 ttl ms  7 first pid
-- RETURNS: {pid, 1 when a worker has it, load of the least loaded worker or -1, workers, starting, waiting}
-- INVARIANT: a process is either in ready, or in running:W of exactly one worker W.
local base, ttl = ARGV[1], ARGV[6]
local number = redis.call('INCR', KEYS[1])
local pid = number + tonumber(ARGV[7]) - 1
local process = base .. 'process:' .. pid
local children = base .. 'children:' .. ARGV[3]
local head = cjson.encode({kind = 'run', pid = pid, uid = ARGV[2], parent = ARGV[3], name = ARGV[4]})
local frame = head .. '\n' .. ARGV[5]
local least = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local load, given, worker = -1, 0, ''
if least[1] then
  worker, load = least[1], tonumber(least[2])
  if load < tonumber(redis.call('HGET', base .. 'worker:' .. worker, 'slots') or '0') then given = 1 end
end
redis.call('HSET', process, 'uid', ARGV[2], 'parent', ARGV[3], 'name', ARGV[4],
           'state', given == 1 and 'given' or 'waiting', 'worker', given == 1 and worker or '')
redis.call('SADD', children, pid)
redis.call('PEXPIRE', process, ttl)
redis.call('PEXPIRE', children, ttl)
redis.call('SADD', KEYS[5], process, children)
if given == 1 then
  local control, running = base .. 'control:' .. worker, base .. 'running:' .. worker
  redis.call('ZINCRBY', KEYS[2], 1, worker)
  redis.call('SADD', running, pid)
  redis.call('RPUSH', control, frame)
  redis.call('PEXPIRE', running, ttl)
  redis.call('PEXPIRE', control, ttl)
else
  redis.call('RPUSH', KEYS[4], frame)
  redis.call('PEXPIRE', KEYS[4], ttl)
end
return {pid, given, load, redis.call('ZCARD', KEYS[2]), redis.call('SCARD', KEYS[3]), redis.call('LLEN', KEYS[4])}
