-- Ends a session: workers are told, everything else goes at once.
-- KEYS: 1 alive  2 keys  3 objects  4 workers  5 starting  6 answers
-- ARGV: 1 base of session keys  2 base of object keys  3 ms for workers to read that it ended
-- RETURNS: number of workers told.
-- INVARIANT: afterwards nothing of the session is left but the workers' last frame and what takes it, which
--            expire.
local base, workers, kept = ARGV[1], redis.call('ZRANGE', KEYS[4], 0, -1), {}
for _, oid in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  for _, part in ipairs({'h0', 'h1', 'q0', 'q1', 'd', 'v', 'g'}) do
    redis.call('UNLINK', ARGV[2] .. oid .. '}:' .. part)
  end
end
for _, worker in ipairs(workers) do
  local control, links = base .. 'control:' .. worker, base .. 'links:' .. worker
  redis.call('DEL', control)
  redis.call('RPUSH', control, '{"kind": "end"}\n')
  redis.call('PEXPIRE', control, ARGV[3])
  redis.call('PEXPIRE', links, ARGV[3])
  kept[control], kept[links] = true, true
  for _, line in ipairs(redis.call('HKEYS', links)) do
    redis.call('PEXPIRE', base .. 'taken:' .. line, ARGV[3])
    kept[base .. 'taken:' .. line] = true
  end
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if not kept[key] then redis.call('UNLINK', key) end
end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[6])) do redis.call('UNLINK', key) end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
redis.call('UNLINK', base .. 'pids', base .. 'ready', base .. 'names')
return #workers
