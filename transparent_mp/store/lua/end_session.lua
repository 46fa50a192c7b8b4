-- Ends a session: workers are told, everything else goes at once.
-- KEYS: 1 alive  2 keys  3 objects  4 workers  5 starting
-- ARGV: 1 base of session keys  2 base of object keys  3 ms for workers to read that it ended
-- RETURNS: number of workers told.
-- INVARIANT: afterwards nothing of the session is left but the workers' last frame, which expires.
local workers = redis.call('ZRANGE', KEYS[4], 0, -1)
for _, oid in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  for _, part in ipairs({'h0', 'h1', 'q0', 'q1', 'd', 'v', 'g'}) do
    redis.call('UNLINK', ARGV[2] .. oid .. '}:' .. part)
  end
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do redis.call('UNLINK', key) end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], ARGV[1] .. 'pids', ARGV[1] .. 'ready', ARGV[1] .. 'names')
for _, worker in ipairs(workers) do
  local control = ARGV[1] .. 'control:' .. worker
  redis.call('RPUSH', control, '{"kind": "end"}\n')
  redis.call('PEXPIRE', control, ARGV[3])
end
return #workers
