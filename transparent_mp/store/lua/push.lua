-- Appends messages to the list that a side of an object reads.
-- KEYS: 1 holders of the reading side  2 list
-- ARGV: 1 ttl ms  2.. messages
-- RETURNS: length of the list, or -1 when nobody holds the reading side any more.
-- INVARIANT: nothing is written for readers that are gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local length = redis.call('RPUSH', KEYS[2], unpack(ARGV, 2))
if length <= #ARGV then redis.call('PEXPIRE', KEYS[2], ARGV[1]) end
return length
