-- A process publishes what it changed in a small segment that rides on a lock, and gives the lock's token back.
-- KEYS: 1 holders  2 segment  3.. as of release
-- ARGV: 1 greatest number of tokens  2 ttl ms  3.. as of publish
-- RETURNS: what release does; an error of publish, when the token was given back all the same.
-- INVARIANT: whoever takes the token finds what was published, as if these were two steps.
--@function publish
--@function release
local first, second = table.remove(ARGV, 1), table.remove(ARGV, 1)
local done, published = pcall(publish, KEYS, ARGV)
local released = release({KEYS[3], KEYS[4], KEYS[5]}, {first, second})
if not done then return redis.error_reply(type(published) == 'table' and published.err or tostring(published)) end
if type(published) == 'table' and published.err then return published end
return released
