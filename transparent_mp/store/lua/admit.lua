-- Admits a link of a member of the session, before anything else is sent on it.
-- KEYS: 1 alive  2 links of the member  3 keys
-- ARGV: 1 base of session keys  2 "worker", "process", or "" for a member that only the session's end ends
--       3 worker or pid  4 holder id of the process  5 name of the link  6 its number and address  7 ttl ms
-- RETURNS: 1, 0 when the session is over, -1 when the member was taken for dead.
-- INVARIANT: whoever takes a member for dead learns of each link that was admitted, and none is afterwards.
local base, kind, id = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if kind == 'process' then
  local record = redis.call('HMGET', base .. 'process:' .. id, 'uid', 'fenced')
  if record[1] ~= ARGV[4] or record[2] then return -1 end
elseif kind == 'worker' then
  local known = redis.call('ZSCORE', base .. 'workers', id)
  if not known and redis.call('SISMEMBER', base .. 'starting', id) == 0 then return -1 end
end
redis.call('HSET', KEYS[2], ARGV[5], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
redis.call('SADD', KEYS[3], KEYS[2])
return 1
