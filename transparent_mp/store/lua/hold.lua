-- A holder takes hold of one side of an object.
-- KEYS: 1 holders of that side  2 holds of the holder  3 objects  4 keys  5 holds of the replaced holder
-- ARGV: 1 holder  2 "OID SIDE"  3 oid  4 ttl ms  5 "new" when the object is being made, else ""
--       6 a holder whose hold this one replaces (a pickle under way), else ""
-- RETURNS: 1, or 0 when the object is gone.
-- INVARIANT: a side that lost its last holder does not come back.
if ARGV[5] ~= 'new' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
if ARGV[6] ~= '' then
  redis.call('SREM', KEYS[1], ARGV[6])
  redis.call('SREM', KEYS[5], ARGV[2])
  if redis.call('EXISTS', KEYS[5]) == 0 then redis.call('SREM', KEYS[4], KEYS[5]) end
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('SADD', KEYS[4], KEYS[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
redis.call('PEXPIRE', KEYS[4], ARGV[4])
return 1
