-- Sends a signal to every process of the session: a terminal's Ctrl-C reaches a whole group.
-- KEYS: 1 workers
-- ARGV: 1 base of session keys  2 signal  3 ttl ms
-- RETURNS: number of workers told.
-- INVARIANT: each worker is told once.
local workers = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, worker in ipairs(workers) do
  local control = ARGV[1] .. 'control:' .. worker
  redis.call('RPUSH', control, cjson.encode({kind = 'interrupt', signal = tonumber(ARGV[2])}) .. '\n')
  redis.call('PEXPIRE', control, ARGV[3])
end
return #workers
