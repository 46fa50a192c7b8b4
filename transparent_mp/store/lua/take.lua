-- Moves the first tasks of a list to what a process has taken.
-- KEYS: 1 list of tasks  2 what the process has taken  3 that what it takes has come there  4 holders of
--       the side that takes
-- ARGV: 1 how many at most  2 ttl ms  3 1 when the process has waited for one, which lies there already
--       4 how many of several taken at once it may have begun: 1, or 2 for any number
-- RETURNS: how many tasks are left, and the messages.
-- INVARIANT: a task lies in the list or is taken by one process; what is taken at once is no more than a
--            fair share of what lies there.
local waited = tonumber(ARGV[3])
local count = redis.call('LLEN', KEYS[1])
local left, taken = 0, {}
if count > 0 and redis.call('LINDEX', KEYS[1], 0) ~= '' then
  local share = math.max(1, math.ceil((count + waited) / math.max(1, redis.call('SCARD', KEYS[4]) - 1)))
  local most = math.min(tonumber(ARGV[1]), share - waited, count)
  if most > 0 then
    -- Fails here for a process that was given up, before it takes anything.
    redis.call('LLEN', KEYS[2])
    taken = redis.call('LPOP', KEYS[1], most)
    -- The end of the pool stays where it is.
    if taken[most] == '' then redis.call('LPUSH', KEYS[1], table.remove(taken)) end
    redis.call('RPUSH', KEYS[2], unpack(taken))
  end
  left = count - #taken
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local begun = waited + #taken > 1 and ARGV[4] or 1
-- What is on its way: whether it has come, nobody will know if the process dies in this moment.
if #taken > 0 and (waited == 0 or begun == '2') then redis.call('SET', KEYS[3], begun, 'PX', ARGV[2]) end
return {left, unpack(taken)}
