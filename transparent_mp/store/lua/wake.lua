-- Wakes some of those who wait at a condition, those first who came first.
-- KEYS: 1 who waits  2 holders
-- ARGV: 1 how many at most  2 base of the waiters' words  3 ttl ms
-- RETURNS: number of waiters woken, those of processes that have ended not counted.
-- INVARIANT: a waiter is in the list until it is told, or has left by stop_waiting.
--@include words
local woken = 0
while woken < tonumber(ARGV[1]) do
  local waiter = redis.call('LPOP', KEYS[1])
  if not waiter then break end
  -- A process that has ended does not hold the condition any more.
  if redis.call('SISMEMBER', KEYS[2], string.match(waiter, '^(.*)%.')) == 1 then
    tell(ARGV[2], waiter, 'woken', ARGV[3])
    woken = woken + 1
  end
end
return woken
