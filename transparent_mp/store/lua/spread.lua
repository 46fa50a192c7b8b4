-- No further worker comes for now: what waits goes to the workers that are there, as far as they have slots.
-- KEYS: 1 workers  2 ready
-- ARGV: 1 base of session keys  2 ttl ms
-- RETURNS: number of processes that still wait.
-- INVARIANT: a process leaves ready only for a worker.
--@include workers
while redis.call('EXISTS', KEYS[2]) == 1 do
  local worker = place_for(ARGV[1], KEYS[1])
  if not worker then break end
  redis.call('ZINCRBY', KEYS[1], 1, worker)
  give(ARGV[1], worker, redis.call('LPOP', KEYS[2]), ARGV[2])
end
return redis.call('LLEN', KEYS[2])
