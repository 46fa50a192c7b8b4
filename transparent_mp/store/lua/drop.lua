-- A holder lets go of one side of an object; the last one ends that side.
-- KEYS: 1 holders of that side  2 holds of the holder  3 objects
-- ARGV: 1 holder  2 oid  3 side  4 ttl ms  5 base of the object's keys
-- RETURNS: number of holders left on that side.
-- INVARIANT: an ended side's readers are told once, by an empty message that stays at the head.
--@include objects
redis.call('SREM', KEYS[2], ARGV[2] .. ' ' .. ARGV[3])
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then return redis.call('SCARD', KEYS[1]) end
local left = redis.call('SCARD', KEYS[1])
if left == 0 then end_side(ARGV[5], ARGV[2], ARGV[3], ARGV[4], KEYS[3]) end
return left
