-- Wakes some of those who wait at a condition, those first who came first.
-- KEYS: 1 who waits  2 holders
-- ARGV: 1 how many at most  2 base of the waiters' words  3 ttl ms
-- RETURNS: number of waiters woken, those of processes that have ended not counted.
-- INVARIANT: a waiter is in the list until it is told, or has left by stop_waiting.
--@include words
return wake(KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2], ARGV[3])
