-- A process gives tasks that it has taken and not begun to whoever comes next.
-- KEYS: 1 list of tasks  2 what the process has taken
-- ARGV: 1 how many at most  2 how many stay taken at least  3 ttl ms
-- RETURNS: how many were given back.
-- INVARIANT: their order stays, and they come before what was put later.
local count = math.min(tonumber(ARGV[1]), redis.call('LLEN', KEYS[2]) - tonumber(ARGV[2]))
if count < 1 then return 0 end
for _ = 1, count do redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return count
