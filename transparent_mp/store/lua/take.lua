-- Moves the first tasks of a list to what a process has taken.
-- KEYS: 1 list of tasks  2 what the process has taken  3 that what it takes has come there  4 holders of
--       the side that takes
-- ARGV: 1 how many at most  2 ttl ms  3 1 when the process has waited for one, which lies there already
-- RETURNS: how many tasks are left, and the messages.
-- INVARIANT: a task lies in the list or is taken by one process; what is taken at once is no more than a
--            fair share of what lies there.
local waited = tonumber(ARGV[3])
local count = redis.call('LLEN', KEYS[1])
local taken = {0}
if count > 0 and redis.call('LINDEX', KEYS[1], 0) ~= '' then
  local share = math.max(1, math.ceil((count + waited) / math.max(1, redis.call('SCARD', KEYS[4]) - 1)))
  local most = math.min(tonumber(ARGV[1]), share - waited)
  for i = 1, most do taken[i + 1] = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT') end
  taken[1] = count - math.max(0, most)
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
-- What is on its way: whether it has come, nobody will know if the process dies in this moment.
if waited == 0 and taken[2] then redis.call('SET', KEYS[3], 1, 'PX', ARGV[2]) end
return taken
