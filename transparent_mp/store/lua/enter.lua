-- A named segment becomes known to the session; its name holds it from here on.
-- KEYS: 1 names of segments  2 holders of the segment  3 holds of names  4 objects  5 keys
-- ARGV: 1 name  2 oid  3 size  4 where: client, file or store  5 ttl ms
--       6 "must" when nobody waits for the answer, else ""
-- RETURNS: 1, or 0 (an error if it must) when the name is taken.
-- INVARIANT: a name means one segment. Two that are the client's are one: its file system says so.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]) == 0 then
  local there = string.match(redis.call('HGET', KEYS[1], ARGV[1]), '%S+$')
  if ARGV[4] == 'client' and there ~= 'store' then return 1 end
  if ARGV[6] ~= 'must' then return 0 end
  return redis.error_reply('ERR the name ' .. ARGV[1] .. ' of a SharedMemory is taken; create it again')
end
redis.call('SADD', KEYS[2], 'names')
redis.call('SADD', KEYS[3], ARGV[2] .. ' 0')
redis.call('SADD', KEYS[4], ARGV[2])
redis.call('SADD', KEYS[5], KEYS[1], KEYS[3])
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return 1
