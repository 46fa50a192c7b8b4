-- A party arrives at a barrier.
-- KEYS: 1 state  2 who waits
-- ARGV: 1 waiter  2 parties  3 "1" if there is an action  4 base of the waiters' words  5 ttl ms
-- RETURNS: number of those who wait now.
-- INVARIANT: each waiter is told once: its place, to act and then open, or that the barrier is broken.
--            While one acts, the first parties in the list are those who pass next.
--@include words
--@include barriers
if redis.call('HEXISTS', KEYS[1], 'broken') == 1 then
  tell(ARGV[4], ARGV[1], 'broken', ARGV[5])
  return 0
end
if redis.call('RPUSH', KEYS[2], ARGV[1]) == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
advance(KEYS[1], KEYS[2], ARGV[4], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[5])
return redis.call('LLEN', KEYS[2])
