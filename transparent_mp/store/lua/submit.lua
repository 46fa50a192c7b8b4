-- Hands a process to a worker with a free core; to a busy one when no further worker may come; else it
-- waits.
-- KEYS: 1 pids  2 workers  3 starting  4 ready  5 keys
-- ARGV: 1 base of session keys  2 uid  3 parent's uid  4 name  5 frame body  6 ttl ms  7 first pid
--       8 workers there may be, 0 for any number
--       9 how the workers begin that its sender may launch (none without it), 10 for how many processes, this
--       one and those to follow, 11 processes that a worker runs side by side
-- RETURNS: {pid, 1 when a worker has it, workers, starting, waiting, workers that its sender is to launch}:
--          NAME-1, NAME-2, ..., which are awaited from here on
-- INVARIANT: a process is either in ready, or in running:W of exactly one worker W.
--@include workers
local base, ttl, limit = ARGV[1], ARGV[6], tonumber(ARGV[8])
local number = redis.call('INCR', KEYS[1])
if number == 1 then redis.call('PEXPIRE', KEYS[1], ttl) end
local pid = number + tonumber(ARGV[7]) - 1
local process, children = base .. 'process:' .. pid, base .. 'children:' .. ARGV[3]
local head = cjson.encode({kind = 'run', pid = pid, uid = ARGV[2], parent = ARGV[3], name = ARGV[4]})
local frame = head .. '\n' .. ARGV[5]
redis.call('HSET', process, 'uid', ARGV[2], 'parent', ARGV[3], 'name', ARGV[4], 'worker', '')
redis.call('SADD', children, pid)
redis.call('PEXPIRE', process, ttl)
redis.call('PEXPIRE', children, ttl)
redis.call('SADD', KEYS[5], process, children)
local given, count, coming, waiting = hand_over(base, KEYS[2], KEYS[3], KEYS[4], frame, ttl, limit)
local missing, several = 0, tonumber(ARGV[10] or '0')
if given == 0 and several > 0 then
  missing = math.min(several, math.ceil((waiting + several - 1) / tonumber(ARGV[11])) - coming)
  if limit > 0 then missing = math.min(missing, limit - count - coming) end
  for number = 1, missing do redis.call('SADD', KEYS[3], ARGV[9] .. '-' .. number) end
  redis.call('PEXPIRE', KEYS[3], ttl)
end
return {pid, given, count, coming, waiting, math.max(missing, 0)}
