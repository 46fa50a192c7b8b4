-- A process publishes what it changed in a small segment, and appends a message to the list that a side reads.
-- KEYS: 1 holders  2 segment  3.. as of push
-- ARGV: 1 ttl ms  2 message  3.. as of publish
-- RETURNS: what push does; an error of publish, when the message was appended all the same.
-- INVARIANT: whoever reads the message finds what was published, as if these were two steps.
--@function publish
--@function push
local first, second = table.remove(ARGV, 1), table.remove(ARGV, 1)
local done, published = pcall(publish, KEYS, ARGV)
local pushed = push({KEYS[3], KEYS[4]}, {first, second})
if not done then return redis.error_reply(type(published) == 'table' and published.err or tostring(published)) end
if type(published) == 'table' and published.err then return published end
return pushed
