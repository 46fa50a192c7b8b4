-- The session's keeper renews its lease and the life of every key of the session.
-- KEYS: 1 alive  2 keys  3 objects  4 answers
-- ARGV: 1 lease ms  2 ttl ms  3 base of object keys
-- RETURNS: 1, or 0 when the session is over.
-- INVARIANT: no key of a living session expires.
if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
for _, key in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  -- A worker's lease is its own to renew.
  if not string.find(key, ':lease:', 1, true) then redis.call('PEXPIRE', key, ARGV[2]) end
end
for _, oid in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  for _, part in ipairs({'h0', 'h1', 'q0', 'q1', 'd', 'v', 'g'}) do
    redis.call('PEXPIRE', ARGV[3] .. oid .. '}:' .. part, ARGV[2])
  end
end
redis.call('PEXPIRE', KEYS[4], ARGV[2])
-- Answers have a life of their own; of those whose asker was killed nothing else would be heard.
for _, key in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', KEYS[4], key) end
end
return 1
