-- Admits a link of a member of the session, before anything else is sent on it.
-- KEYS: 1 alive  2 links of the member  3 keys  4 what its line has applied  5 what its line has taken
-- ARGV: 1 base of session keys  2 "worker", "process", or "" for a member that only the session's end ends
--       3 worker or pid  4 holder id of the process  5 name of the line  6 the link's number and address
--       7 ttl ms  8 number of the last step that the line knows to be applied; "" for a new line
-- RETURNS: 1, 0 when the session is over, -1 when the member was taken for dead, -2 when the store has lost
--          what it had applied.
-- INVARIANT: whoever takes a member for dead learns of each link that was admitted, and none is afterwards.
local base, kind, id, known = ARGV[1], ARGV[2], ARGV[3], ARGV[8]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
-- A full server lets a script go on that has written something: who comes to read makes room.
redis.call('PEXPIRE', KEYS[3], ARGV[7])
if kind == 'process' then
  local record = redis.call('HMGET', base .. 'process:' .. id, 'uid', 'fenced')
  if record[1] ~= ARGV[4] or record[2] then return -1 end
elseif kind == 'worker' then
  local place = redis.call('ZSCORE', base .. 'workers', id)
  if not place and redis.call('SISMEMBER', base .. 'starting', id) == 0 then return -1 end
end
if known ~= '' and tonumber(redis.call('HGET', KEYS[4], 'n') or '-1') < tonumber(known) then return -2 end
redis.call('HSET', KEYS[2], ARGV[5], ARGV[6])
if known == '' then
  redis.call('HSETNX', KEYS[4], 'n', 0)
  -- The list is never empty, so it keeps its time to live.
  if redis.call('EXISTS', KEYS[5]) == 0 then redis.call('RPUSH', KEYS[5], '') end
end
redis.call('SADD', KEYS[3], KEYS[2], KEYS[4], KEYS[5])
for i = 2, 5 do if i ~= 3 then redis.call('PEXPIRE', KEYS[i], ARGV[7]) end end
return 1
