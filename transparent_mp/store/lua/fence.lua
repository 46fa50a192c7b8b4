-- A process that has ended is fenced off, so that what it had sent does not arrive after its end was told.
-- KEYS: 1 running of its worker
-- ARGV: 1 base of session keys  2 pid
-- RETURNS: its links, which the caller ends before it reports the exit.
-- INVARIANT: afterwards no link of that process is admitted.
--@include fencing
local links = {}
if redis.call('SISMEMBER', KEYS[1], ARGV[2]) == 1 then fence(ARGV[1], ARGV[2], links) end
return links
