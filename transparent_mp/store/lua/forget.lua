-- A holder that no worker supervises (a manager's server) has ended.
-- KEYS: 1 objects  2 keys
-- ARGV: 1 base of session keys  2 base of object keys  3 holder  4 ttl ms
-- RETURNS: 1
-- INVARIANT: afterwards the holder holds nothing.
--@include objects
drop_holds({base = ARGV[1], any_object = ARGV[2], ttl = ARGV[4], objects = KEYS[1], keys = KEYS[2]}, ARGV[3])
return 1
