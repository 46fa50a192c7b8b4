-- A barrier is aborted or reset: every wait ends with an error.
-- KEYS: 1 state  2 who waits
-- ARGV: 1 "broken" to abort, "" to reset  2 base of the waiters' words  3 ttl ms
-- RETURNS: 1.
-- INVARIANT: nobody waits at a broken barrier.
--@include words
--@include breaking
if ARGV[1] == 'broken' then
  break_all(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
else
  fail_all(KEYS[1], KEYS[2], ARGV[2], ARGV[3])
  redis.call('HDEL', KEYS[1], 'broken')
end
return 1
