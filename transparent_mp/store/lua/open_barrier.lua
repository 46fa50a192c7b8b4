-- Who was told to act has acted: the others pass.
-- KEYS: 1 state  2 who waits
-- ARGV: 1 waiter that acted  2 parties  3 base of the waiters' words  4 ttl ms
-- RETURNS: 1, or 0 when the barrier was broken or reset meanwhile.
-- INVARIANT: as in arrive.
--@include words
--@include barriers
if redis.call('HGET', KEYS[1], 'acting') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'acting')
pass(KEYS[2], ARGV[3], tonumber(ARGV[2]), ARGV[1], ARGV[4])
advance(KEYS[1], KEYS[2], ARGV[3], tonumber(ARGV[2]), true, ARGV[4])
return 1
