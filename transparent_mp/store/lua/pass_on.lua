-- A process that can be begun again leaves its worker, for good, and goes on under a new holder id: at
-- another worker, or it waits for one. Its id, its parent and who watches it stay.
-- KEYS: 1 workers  2 starting  3 ready  4 objects  5 keys
-- ARGV: 1 base of session keys  2 base of object keys  3 pid  4 new uid  5 frame body  6 ttl ms
--       7 worker it leaves  8 workers there may be, 0 for any number
--       9... "oid side" of what its pickle refers to: held on for the successor, if it is held still
-- RETURNS: {1 when a worker has it, workers, starting, waiting}; false when that worker does not hold it
--          (any more).
-- INVARIANT: a process is either in ready, or in running:W of exactly one worker W; the worker it leaves is
--            not given it again, and the exit of what ran there is not taken for its end.
--@include workers
--@include objects
local base, pid, ttl, left, limit = ARGV[1], ARGV[3], ARGV[6], ARGV[7], tonumber(ARGV[8])
local process = base .. 'process:' .. pid
local record = redis.call('HMGET', process, 'uid', 'parent', 'name', 'worker')
local load = redis.call('ZSCORE', KEYS[1], left)
if not record[1] or record[4] ~= left or not load then return false end
local old, new = base .. 'holds:' .. record[1], base .. 'holds:' .. ARGV[4]
for i = 9, #ARGV do
  if redis.call('SISMEMBER', old, ARGV[i]) == 1 then
    local oid, side = string.match(ARGV[i], '^(%S+) (%S+)$')
    redis.call('SADD', ARGV[2] .. oid .. '}:h' .. side, ARGV[4])
    redis.call('SADD', new, ARGV[i])
    redis.call('PEXPIRE', new, ttl)
    redis.call('SADD', KEYS[5], new)
  end
end
drop_holds({base = base, any_object = ARGV[2], ttl = ttl, objects = KEYS[4], keys = KEYS[5]}, record[1])
tell_orphans(base, record[1], ttl, KEYS[5])
redis.call('DEL', base .. 'inbox:' .. record[1])
redis.call('SREM', KEYS[5], base .. 'inbox:' .. record[1])
-- This step is on a line of its own: its lines go with the worker.
local links = redis.call('HGETALL', base .. 'links:' .. record[1])
if links[1] then
  redis.call('HSET', base .. 'links:' .. left, unpack(links))
  redis.call('PEXPIRE', base .. 'links:' .. left, ttl)
  redis.call('SADD', KEYS[5], base .. 'links:' .. left)
end
redis.call('DEL', base .. 'links:' .. record[1])
redis.call('SREM', KEYS[5], base .. 'links:' .. record[1])
redis.call('SREM', base .. 'running:' .. left, pid)
redis.call('ZINCRBY', KEYS[1], tonumber(load) < RETIRED and RETIRED - 1 or -1, left)
redis.call('HSET', process, 'uid', ARGV[4], 'worker', '')
local head = {kind = 'run', pid = tonumber(pid), uid = ARGV[4], parent = record[2], name = record[3]}
local frame = cjson.encode(head) .. '\n' .. ARGV[5]
return {hand_over(base, KEYS[1], KEYS[2], KEYS[3], frame, ttl, limit)}
