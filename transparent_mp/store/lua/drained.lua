-- A worker has ended its processes since the session is over, or it was taken for dead: nothing of it is left.
-- KEYS: 1 workers  2 control of the worker  3 links of the worker
-- ARGV: 1 worker  2 base of session keys
-- RETURNS: 1
-- INVARIANT: no end of the session leaves a word for the worker that nobody reads.
redis.call('ZREM', KEYS[1], ARGV[1])
for _, line in ipairs(redis.call('HKEYS', KEYS[3])) do
  redis.call('DEL', ARGV[2] .. 'line:' .. line, ARGV[2] .. 'taken:' .. line)
end
redis.call('DEL', KEYS[2], KEYS[3])
return 1
