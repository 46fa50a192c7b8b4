-- A receiver has taken a message that asked to be acknowledged.
-- KEYS: 1 list of tokens  2 keys
-- ARGV: 1 ttl ms
-- RETURNS: number of tokens that wait, 0 when their sender has ended.
-- INVARIANT: nothing is written for senders that are gone.
if redis.call('SISMEMBER', KEYS[2], KEYS[1]) == 0 then return 0 end
local count = redis.call('RPUSH', KEYS[1], '1')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
