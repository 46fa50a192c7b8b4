-- A holder lets go of one side of an object; the last one ends that side.
-- KEYS: 1 holders of that side  2 holds of the holder  3 objects  4 keys
-- ARGV: 1 holder  2 oid  3 side  4 ttl ms  5 base of session keys  6 base of object keys
-- RETURNS: number of holders left on that side.
-- INVARIANT: an ended side's readers are told once, by an empty message that stays at the head.
--@include objects
redis.call('SREM', KEYS[2], ARGV[2] .. ' ' .. ARGV[3])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SREM', KEYS[4], KEYS[2]) end
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then return redis.call('SCARD', KEYS[1]) end
local left = redis.call('SCARD', KEYS[1])
if left == 0 then
  local place = {base = ARGV[5], any_object = ARGV[6], ttl = ARGV[4], objects = KEYS[3], keys = KEYS[4]}
  end_side(place, ARGV[2], ARGV[3])
end
return left
