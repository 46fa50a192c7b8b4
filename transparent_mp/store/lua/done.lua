-- Tasks that a process has begun, one after the other, have these results: pushed, the tasks are done.
-- KEYS: 1 what the process has taken  2 that this has come there  3 holders of the side that reads results
--       4 list of results
-- ARGV: 1 ttl ms  2 tag of the first task's message  3 its place there  4 messages of which all is done now
--       5 place behind the last task, in the message behind these  6 message with the results of all
-- RETURNS: length of the list of results; 0 when the task is not the process's any more, and -1 when nobody
--          reads results any more.
-- INVARIANT: one result for each task, however often this is sent: whoever takes a task from what was taken
--            answers for it. Of a process that was given up `taken` is a string, and this fails.
--@include groups
local task = redis.call('LINDEX', KEYS[1], 0)
if not task or string.sub(task, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
local place = range_of(task)
if place ~= tonumber(ARGV[3]) then return 0 end
if redis.call('EXISTS', KEYS[3]) == 0 then return -1 end
if ARGV[4] ~= '0' then
  redis.call('LTRIM', KEYS[1], ARGV[4], -1)
  task = redis.call('LINDEX', KEYS[1], 0) or ''
end
local _, last = range_of(task)
redis.call('LTRIM', KEYS[1], 1, -1)
if tonumber(ARGV[5]) < last then
  redis.call('LPUSH', KEYS[1], part_of(task, tonumber(ARGV[5]), last))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
local length = redis.call('RPUSH', KEYS[4], ARGV[6])
if length == 1 then redis.call('PEXPIRE', KEYS[4], ARGV[1]) end
return length
