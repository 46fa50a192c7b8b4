-- A holder lets go of one side of an object; the last one ends that side.
-- KEYS: 1 holders of that side  2 holders of the other side  3 list of that side  4 list of the other side
--       5 data  6 version  7 blocks  8 holds of the holder  9 objects
-- ARGV: 1 holder  2 "OID SIDE"  3 oid  4 ttl ms
-- RETURNS: number of holders left on that side.
-- INVARIANT: an ended side's readers are told once, by an empty message that stays at the head; an
--            object without holders has no keys.
redis.call('SREM', KEYS[8], ARGV[2])
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then return redis.call('SCARD', KEYS[1]) end
local left = redis.call('SCARD', KEYS[1])
if left > 0 then return left end
redis.call('DEL', KEYS[3])
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('RPUSH', KEYS[4], '')
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
else
  redis.call('DEL', KEYS[4])
  -- A segment may be large.
  redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7])
  redis.call('SREM', KEYS[9], ARGV[3])
end
return 0
