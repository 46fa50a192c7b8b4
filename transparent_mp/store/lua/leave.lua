-- An idle worker leaves, unless something has come for it meanwhile.
-- KEYS: 1 workers  2 control of the worker  3 running of the worker  4 worker's record  5 lease
--       6 keys
-- ARGV: 1 worker
-- RETURNS: 1 left, 0 stay.
-- INVARIANT: a process is never given to a worker that has left.
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[4], KEYS[5])
redis.call('SREM', KEYS[6], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return 1
