-- Moves the first tasks of a list to what a process has taken.
-- KEYS: 1 list of tasks  2 what the process has taken  3 that what it takes has come there  4 holders of
--       the side that takes
-- ARGV: 1 how many at most, with all but one of the message that it has waited for  2 ttl ms  3 1 when the process
--       has waited for a message, which lies there already  4 how many of several taken at once it may have begun: 1,
--       or 2 for any number
-- RETURNS: how many messages are left, and those that were moved.
-- INVARIANT: a task lies in the list or is taken by one process, with its message, of which two parts may lie in
--            two lists; what is taken at once is no more than a fair share of what lies there.
--@include groups
local waited = 0
if ARGV[3] == '1' then
  local first, last = range_of(redis.call('LINDEX', KEYS[2], -1) or '')
  waited = last - first
end
local count = redis.call('LLEN', KEYS[1])
local left, taken, tasks = 0, {}, 0
local head = count > 0 and redis.call('LINDEX', KEYS[1], 0) or ''
if head ~= '' then
  -- The first may be what is left of a group; those behind it are as long as the next, or nearly so.
  local first, last = range_of(head)
  local here = last - first
  first, last = range_of(count > 1 and redis.call('LINDEX', KEYS[1], 1) or head)
  local each = last - first
  local lie = here + (count - 1) * each
  local share = math.ceil((lie + waited) / math.max(1, redis.call('SCARD', KEYS[4]) - 1))
  local most = math.min(tonumber(ARGV[1]) - math.max(0, waited - 1), share - waited)
  if most > 0 then
    -- Fails here for a process that was given up, before it takes anything.
    redis.call('LLEN', KEYS[2])
    taken = redis.call('LPOP', KEYS[1], math.min(count, 1 + math.ceil(math.max(0, most - here) / each)))
    -- The end of the pool stays where it is.
    if taken[#taken] == '' then redis.call('LPUSH', KEYS[1], table.remove(taken)) end
    for i, message in ipairs(taken) do
      first, last = range_of(message)
      local rest = most - tasks
      if last - first > rest then
        -- What is more than it takes goes back again, from behind, and with it a part of the one that is too long.
        for _ = #taken, i + 1, -1 do redis.call('LPUSH', KEYS[1], table.remove(taken)) end
        table.remove(taken)
        if rest > 0 then
          redis.call('LPUSH', KEYS[1], part_of(message, first + rest, last))
          taken[i], tasks = part_of(message, first, first + rest), most
        else
          redis.call('LPUSH', KEYS[1], message)
        end
        break
      end
      tasks = tasks + last - first
    end
    redis.call('RPUSH', KEYS[2], unpack(taken))
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  left = redis.call('LLEN', KEYS[1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local begun = waited + tasks > 1 and ARGV[4] or 1
-- What is on its way: whether it has come, nobody will know if the process dies in this moment.
if tasks > 0 and (waited == 0 or begun == '2') then redis.call('SET', KEYS[3], begun, 'PX', ARGV[2]) end
return {left, unpack(taken)}
