-- A waiter waits for an event, or is told at once that it is set.
-- KEYS: 1 state  2 who waits
-- ARGV: 1 waiter  2 base of the waiters' words  3 ttl ms
-- RETURNS: 1 if the event is set, else 0.
-- INVARIANT: the waiter is told once: now, or when it is set.
--@include words
if redis.call('HEXISTS', KEYS[1], 'set') == 1 then
  tell(ARGV[2], ARGV[1], 'set', ARGV[3])
  return 1
end
if redis.call('RPUSH', KEYS[2], ARGV[1]) == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
return 0
