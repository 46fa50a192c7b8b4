-- A worker is given up: launched and never came, or its lease is over, or its launcher saw it end.
-- KEYS: 1 workers  2 starting  3 keys
-- ARGV: 1 base of session keys  2 worker  3 "lease" to do so only when its lease is over, else "now"
-- RETURNS: pids it held, whose exit the caller reports; false when it is not to be given up.
-- INVARIANT: afterwards renew answers -1 and check_in -2 to that worker.
local base, worker = ARGV[1], ARGV[2]
local lease, running = base .. 'lease:' .. worker, base .. 'running:' .. worker
if ARGV[3] == 'lease' and redis.call('EXISTS', lease) == 1 then return false end
local known = redis.call('ZREM', KEYS[1], worker) + redis.call('SREM', KEYS[2], worker)
if known == 0 then return false end
local pids = redis.call('SMEMBERS', running)
redis.call('DEL', lease, running, base .. 'worker:' .. worker, base .. 'control:' .. worker)
redis.call('SREM', KEYS[3], lease, running, base .. 'worker:' .. worker, base .. 'control:' .. worker)
return pids
