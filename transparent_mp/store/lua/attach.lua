-- A process finds a named segment and takes hold of it.
-- KEYS: 1 names of segments  2 holds of the holder  3 keys
-- ARGV: 1 name  2 holder  3 base of object keys  4 ttl ms
--       5 "file" when the holder can open the client's file and need not hold what is there, else ""
-- RETURNS: "OID SIZE WHERE", or nil when there is none of that name.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return value end
local oid, where = string.match(value, '^(%S+) %S+ (%S+)$')
if where == 'client' and ARGV[5] == 'file' then return value end
redis.call('SADD', ARGV[3] .. oid .. '}:h0', ARGV[2])
redis.call('SADD', KEYS[2], oid .. ' 0')
redis.call('SADD', KEYS[3], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return value
