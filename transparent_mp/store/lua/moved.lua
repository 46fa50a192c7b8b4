-- The contents of a named segment have come to the store.
-- KEYS: 1 names of segments
-- ARGV: 1 name  2 "OID SIZE WHERE" before  3 the same from here on
-- RETURNS: 1, or 0 when the name is gone, or another's, by now.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
