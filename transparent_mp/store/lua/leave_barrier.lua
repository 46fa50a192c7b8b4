-- A waiter at a barrier gives up, unless it has been told.
-- KEYS: 1 state  2 who waits  3 the waiter's words
-- ARGV: 1 waiter  2 parties  3 "broken" when its time is over, "" when it was interrupted
--       4 base of the waiters' words  5 ttl ms
-- RETURNS: the word that it was told meanwhile; "stay" when all are there and one acts, so that a word
--          will come; else nil.
-- INVARIANT: unless it stays, nobody tells it anything afterwards. Whose time is over breaks the barrier.
--@include words
--@include breaking
local place = redis.call('LPOS', KEYS[2], ARGV[1])
if not place then return redis.call('LPOP', KEYS[3]) end
if redis.call('HEXISTS', KEYS[1], 'acting') == 1 and place < tonumber(ARGV[2]) then return 'stay' end
redis.call('LREM', KEYS[2], 1, ARGV[1])
if ARGV[3] == 'broken' then break_all(KEYS[1], KEYS[2], ARGV[4], ARGV[5]) end
return false
