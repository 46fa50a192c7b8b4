-- A worker has left, in good order or not: what is kept of its lines goes.
-- KEYS: 1 keys
-- ARGV: 1 base of session keys  2 worker
-- RETURNS: 1
-- INVARIANT: none; the worker says nothing any more.
--@include lines
forget_lines(ARGV[1], ARGV[2], KEYS[1])
return 1
