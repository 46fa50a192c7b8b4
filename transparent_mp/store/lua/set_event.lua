-- An event is set.
-- KEYS: 1 state  2 who waits
-- ARGV: 1 base of the waiters' words  2 ttl ms
-- RETURNS: number of waiters that were told.
-- INVARIANT: nobody waits for an event that is set.
--@include words
redis.call('HSET', KEYS[1], 'set', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local waiters = redis.call('LRANGE', KEYS[2], 0, -1)
for _, waiter in ipairs(waiters) do tell(ARGV[1], waiter, 'set', ARGV[2]) end
redis.call('DEL', KEYS[2])
return #waiters
