-- A worker is given up: launched and never came, or its lease is over, or its launcher saw it end.
-- KEYS: 1 workers  2 starting  3 keys
-- ARGV: 1 base of session keys  2 worker  3 "lease" to do so only when its lease is over, else "now"
-- RETURNS: {pids it held, links of it and of them}: the caller ends the links, then reports the exits;
--          false when it is not to be given up.
-- INVARIANT: afterwards renew answers -1 and check_in -2 to that worker, and no link of it or of its
--            processes is admitted.
--@include fencing
--@include lines
local base, worker = ARGV[1], ARGV[2]
local lease, running = base .. 'lease:' .. worker, base .. 'running:' .. worker
if ARGV[3] == 'lease' and redis.call('EXISTS', lease) == 1 then return false end
local known = redis.call('ZREM', KEYS[1], worker) + redis.call('SREM', KEYS[2], worker)
if known == 0 then return false end
local pids = redis.call('SMEMBERS', running)
local links = redis.call('HVALS', base .. 'links:' .. worker)
for _, pid in ipairs(pids) do fence(base, pid, links) end
for _, part in ipairs({'lease:', 'running:', 'worker:', 'control:'}) do
  redis.call('DEL', base .. part .. worker)
  redis.call('SREM', KEYS[3], base .. part .. worker)
end
forget_lines(base, worker, KEYS[3])
return {pids, links}
