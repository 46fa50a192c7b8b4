-- A process gives tasks that it has taken and not begun to whoever comes next.
-- KEYS: 1 list of tasks  2 what the process has taken
-- ARGV: 1 how many at most  2 how many stay taken at least  3 ttl ms
-- RETURNS: how many were given back.
-- INVARIANT: their order stays, and they come before what was put later.
--@include groups
local taken, all = redis.call('LRANGE', KEYS[2], 0, -1), 0
for _, message in ipairs(taken) do
  local first, last = range_of(message)
  all = all + last - first
end
local count = math.min(tonumber(ARGV[1]), all - tonumber(ARGV[2]))
if count < 1 then return 0 end
local rest = count
for i = #taken, 1, -1 do
  local first, last = range_of(taken[i])
  if last - first > rest then
    if rest > 0 then
      redis.call('LTRIM', KEYS[2], 0, -2)
      redis.call('RPUSH', KEYS[2], part_of(taken[i], first, last - rest))
      redis.call('PEXPIRE', KEYS[2], ARGV[3])
      redis.call('LPUSH', KEYS[1], part_of(taken[i], last - rest, last))
    end
    break
  end
  redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT')
  rest = rest - (last - first)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return count
