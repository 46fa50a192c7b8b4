-- A process has ended that had acquired a lock: who it was is kept for those who wait for the lock.
-- KEYS: 1 tokens  2 state  3 record of the process  4 holders
-- ARGV: 1 pid  2 worker  3 exit code  4 ttl ms
-- RETURNS: 1, or 0 when the lock is free, or gone.
-- INVARIANT: release forgets it; the lock stays as it is.
if redis.call('EXISTS', KEYS[4]) == 0 or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local name = redis.call('HGET', KEYS[3], 'name') or ''
redis.call('HSET', KEYS[2], 'name', name, 'pid', ARGV[1], 'worker', ARGV[2], 'code', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
