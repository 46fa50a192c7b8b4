-- A process publishes what it changed in a small segment, and appends a message to the list that a side reads.
-- KEYS: 1 holders  2 segment  3.. as of push
-- ARGV: 1 ttl ms  2 message  3.. as of publish
-- RETURNS: what push does; an error of publish, when the message was appended all the same.
-- INVARIANT: whoever reads the message finds what was published, as if these were two steps.
--@function publish
--@function push
local done, published = pcall(publish, {KEYS[1], KEYS[2]}, {unpack(ARGV, 3)})
local pushed = push({unpack(KEYS, 3)}, {ARGV[1], ARGV[2]})
if not done then return redis.error_reply(type(published) == 'table' and published.err or tostring(published)) end
if type(published) == 'table' and published.err then return published end
return pushed
