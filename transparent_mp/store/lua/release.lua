-- Gives one token of a semaphore back.
-- KEYS: 1 holders  2 tokens  3 state of a lock: who has died with it; a semaphore has none
-- ARGV: 1 greatest number of tokens  2 ttl ms
-- RETURNS: 1, 0 when there are as many tokens as there may be, -1 when the semaphore is gone.
-- INVARIANT: there are never more than ARGV[1] tokens. Of a free lock nobody is known to have died with it.
-- The state goes with the last holder, so one of the two is the holders.
local there = KEYS[3] and redis.call('EXISTS', KEYS[1], KEYS[3]) or redis.call('EXISTS', KEYS[1])
if there == 0 then return -1 end
local count = redis.call('RPUSH', KEYS[2], '1')
if count > tonumber(ARGV[1]) then
  -- All tokens are alike.
  redis.call('LPOP', KEYS[2])
  return 0
end
if there == 2 then redis.call('DEL', KEYS[3]) end
if count == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
