-- A worker is to be given nothing more: it has to leave before long, and what it holds goes on until then.
-- KEYS: 1 workers  2 starting  3 ready
-- ARGV: 1 worker
-- RETURNS: {workers, starting, waiting}.
-- INVARIANT: what is in the worker's control list by then is the last that it is given.
--@include workers
local load = redis.call('ZSCORE', KEYS[1], ARGV[1])
if load and tonumber(load) < RETIRED then redis.call('ZINCRBY', KEYS[1], RETIRED, ARGV[1]) end
return {serving(KEYS[1]), redis.call('SCARD', KEYS[2]), redis.call('LLEN', KEYS[3])}
