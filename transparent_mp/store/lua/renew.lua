-- A worker renews its lease.
-- KEYS: 1 alive  2 workers  3 lease of the worker
-- ARGV: 1 worker  2 lease ms
-- RETURNS: 1, 0 when the session is over, -1 when this worker was given up meanwhile.
-- INVARIANT: a worker that was given up never gets its lease back.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return -1 end
redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
return 1
