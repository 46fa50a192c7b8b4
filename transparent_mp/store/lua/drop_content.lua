-- A content goes that nobody may ask for any more, as far as the client knows.
-- KEYS: 1 chunks  2 digests of contents that last  3 keys
-- ARGV: 1 digest
-- RETURNS: 1, or 0 when it is to stay.
-- INVARIANT: what a process on a worker has stored for those it starts stays.
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end
redis.call('UNLINK', KEYS[1])
redis.call('SREM', KEYS[3], KEYS[1])
return 1
