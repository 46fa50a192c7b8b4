-- Gives one token of a semaphore back.
-- KEYS: 1 holders  2 tokens  3 state of a lock: who has died with it; a semaphore has none
-- ARGV: 1 greatest number of tokens  2 ttl ms
-- RETURNS: 1, 0 when there are as many tokens as there may be, -1 when the semaphore is gone.
-- INVARIANT: there are never more than ARGV[1] tokens. Of a free lock nobody is known to have died with it.
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[1]) then return 0 end
if KEYS[3] then redis.call('DEL', KEYS[3]) end
if redis.call('RPUSH', KEYS[2], '1') == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
