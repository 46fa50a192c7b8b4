-- One task is done: takes a token of what is unfinished, and wakes all who wait for the last.
-- KEYS: 1 tokens  2 who waits  3 holders of what they wait at
-- ARGV: 1 base of the waiters' words  2 ttl ms
-- RETURNS: 1, 0 when there was no token.
-- INVARIANT: whoever has entered the list before it looked for tokens is woken by who takes the last.
--@include words
if not redis.call('LPOP', KEYS[1]) then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then
  wake(KEYS[2], KEYS[3], math.huge, ARGV[1], ARGV[2])
end
return 1
