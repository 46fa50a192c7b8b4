-- Takes more tasks behind the one that was just moved to what a process has taken.
-- KEYS: 1 list of tasks  2 what the process has taken  3 holders of the side that takes
-- ARGV: 1 how many more at most  2 ttl ms
-- RETURNS: the messages.
-- INVARIANT: a task lies in the list or is taken by one process; what is taken at once is no more than a
--            fair share of what lies there.
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local share = math.floor(redis.call('LLEN', KEYS[1]) / math.max(1, redis.call('SCARD', KEYS[3]) - 1))
local taken = {}
for i = 1, math.min(tonumber(ARGV[1]), share) do
  local message = redis.call('LPOP', KEYS[1])
  if not message then break end
  if message == '' then
    redis.call('LPUSH', KEYS[1], message)
    break
  end
  redis.call('RPUSH', KEYS[2], message)
  taken[i] = message
end
return taken
