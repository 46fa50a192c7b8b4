-- A holder that no worker supervises (a manager's server) has ended.
-- KEYS: 1 objects  2 keys
-- ARGV: 1 base of session keys  2 base of object keys  3 holder  4 ttl ms
-- RETURNS: 1
-- INVARIANT: afterwards the holder holds nothing.
--@include objects
drop_holds(ARGV[1], ARGV[2], ARGV[3], ARGV[4], KEYS[1], KEYS[2])
return 1
