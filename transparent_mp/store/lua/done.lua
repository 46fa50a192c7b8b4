-- Tasks that a process has begun, one after the other, have these results: pushed, the tasks are done.
-- KEYS: 1 what the process has taken  2 that this has come there  3 holders of the side that reads results
--       4 list of results
-- ARGV: 1 ttl ms  2 tag of the first task  3 how many tasks  4 message with the results of all
-- RETURNS: length of the list of results; 0 when the task is not the process's any more, and -1 when nobody
--          reads results any more.
-- INVARIANT: one result for each task, however often this is sent: whoever takes a task from what was taken
--            answers for it. Of a process that was given up `taken` is a string, and this fails.
local task = redis.call('LINDEX', KEYS[1], 0)
if not task or string.sub(task, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[3]) == 0 then return -1 end
redis.call('LPOP', KEYS[1], ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
local length = redis.call('RPUSH', KEYS[4], ARGV[4])
if length == 1 then redis.call('PEXPIRE', KEYS[4], ARGV[1]) end
return length
