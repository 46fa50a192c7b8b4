-- Around every script that changes something: on a line, the step of a number is applied once, and in turn.
-- ARGV ends with the key of the line ('' for a step that need not be numbered) and the number of the step.
-- A step that is sent again answers as it did. One that comes too early (GAP), since one before it was
-- refused, changes nothing; nor does one of a line that the store does not know (GONE).
local step, line = table.remove(ARGV), table.remove(ARGV)
local function act()
--@body
end
if line == '' then return act() end
local number, last = tonumber(step), tonumber(redis.call('HGET', line, 'n') or '-1')
if last < 0 then return redis.error_reply('GONE the store does not know this line') end
if last > number then return false end
if last == number then
  local kept = cmsgpack.unpack(redis.call('HGET', line, 'r'))
  return kept.error and redis.error_reply(kept.error) or kept.reply
end
if last < number - 1 then return redis.error_reply('GAP a step before this one was refused') end
local done, reply = pcall(act)
local kept = {reply = reply}
if not done then
  kept = {error = type(reply) == 'table' and reply.err or tostring(reply)}
elseif type(reply) == 'table' and reply.err then
  kept = {error = reply.err}
end
-- Refused when the step was refused because nothing may be written: then it was not applied.
redis.call('HSET', line, 'n', step, 'r', cmsgpack.pack(kept))
return kept.error and redis.error_reply(kept.error) or reply
