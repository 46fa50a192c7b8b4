-- A waiter of an event or condition gives up, unless it has been told.
-- KEYS: 1 who waits  2 the waiter's words
-- ARGV: 1 waiter
-- RETURNS: the word that it was told meanwhile, or nil.
-- INVARIANT: afterwards nobody tells it anything.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then return false end
return redis.call('LPOP', KEYS[2])
