-- A launched worker takes its place, and its fair share of what waits.
-- KEYS: 1 alive  2 workers  3 starting  4 ready  5 keys
-- ARGV: 1 base of session keys  2 worker  3 slots  4 host  5 lease ms  6 ttl ms
--       7 processes it runs side by side at full speed, 1 by default
-- RETURNS: number of processes given, -1 when the session is over, -2 when this launch was not awaited
--          (a second delivery of it, or one given up).
-- INVARIANT: a worker checks in at most once.
--@include workers
local base, worker, ttl, cores = ARGV[1], ARGV[2], ARGV[6], tonumber(ARGV[7] or '1')
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('SREM', KEYS[3], worker) == 0 then return -2 end
local lease, record = base .. 'lease:' .. worker, base .. 'worker:' .. worker
local running, control = base .. 'running:' .. worker, base .. 'control:' .. worker
redis.call('SET', lease, '1', 'PX', ARGV[5])
redis.call('HSET', record, 'slots', ARGV[3], 'host', ARGV[4], 'cores', cores)
redis.call('PEXPIRE', record, ttl)
redis.call('SADD', KEYS[5], record, running, control, lease)
local waiting = redis.call('LLEN', KEYS[4])
local fair = math.ceil(waiting / (1 + redis.call('SCARD', KEYS[3])))
local share = math.min(math.max(fair, cores), waiting, tonumber(ARGV[3]))
for _ = 1, share do give(base, worker, redis.call('LPOP', KEYS[4]), ttl) end
redis.call('ZADD', KEYS[2], share, worker)
redis.call('PEXPIRE', KEYS[2], ttl)
return share
