-- A process has ended: its parent is told, what it held is dropped, its worker takes the next.
-- KEYS: 1 workers  2 ready  3 objects  4 keys
-- ARGV: 1 base of session keys  2 base of object keys  3 pid  4 exit code  5 ttl ms  6 worker
-- RETURNS: 1, or 0 when this worker does not hold that process (any more).
-- INVARIANT: exactly one exit event for each process; a process's holds end before its exit is seen.
--@include workers
--@include objects
--@include lines
local base, pid, ttl, worker = ARGV[1], ARGV[3], ARGV[5], ARGV[6]
local process = base .. 'process:' .. pid
local record = redis.call('HMGET', process, 'uid', 'parent', 'worker')
if not record[1] or record[3] ~= worker then return 0 end
local uid, parent = record[1], record[2]

drop_holds({base = base, any_object = ARGV[2], ttl = ttl, objects = KEYS[3], keys = KEYS[4]}, uid)
tell_orphans(base, uid, ttl, KEYS[4])
local own = {process, base .. 'inbox:' .. uid, base .. 'blob:' .. uid}
-- The blob is the body of one that never began and has not fetched it.
redis.call('UNLINK', unpack(own))
redis.call('SREM', KEYS[4], unpack(own))
forget_lines(base, uid, KEYS[4])
-- A parent that is gone has no children set any more; nobody would read its inbox.
if redis.call('SREM', base .. 'children:' .. parent, pid) == 1 then
  local inbox = base .. 'inbox:' .. parent
  local exit = {kind = 'exit', pid = tonumber(pid), code = tonumber(ARGV[4]), worker = worker}
  redis.call('RPUSH', inbox, cjson.encode(exit) .. '\n')
  redis.call('PEXPIRE', inbox, ttl)
  redis.call('SADD', KEYS[4], inbox)
end
if worker == '' or redis.call('SREM', base .. 'running:' .. worker, pid) == 0 then return 1 end
local load = redis.call('ZSCORE', KEYS[1], worker)
if not load then return 1 end
local next = tonumber(load) < RETIRED and redis.call('LPOP', KEYS[2])
if next then
  give(base, worker, next, ttl)
else
  redis.call('ZINCRBY', KEYS[1], -1, worker)
end
return 1
