-- The results of the first tasks that a process has taken: they are pushed, the tasks are done.
-- KEYS: 1 what the process has taken  2 that this has come there  3 holders of the side that reads results
--       4 list of results
-- ARGV: 1 ttl ms  2.. results
-- RETURNS: length of the list of results; 0 when these tasks are not the process's any more, and -1 when
--          nobody reads results any more.
-- INVARIANT: one result for each task: whoever takes a task from what was taken answers for it. Of a
--            process that was given up `taken` is a string, and this fails.
local count = #ARGV - 1
if redis.call('LLEN', KEYS[1]) < count then return 0 end
if redis.call('EXISTS', KEYS[3]) == 0 then return -1 end
local length
for i = 2, #ARGV do
  redis.call('LPOP', KEYS[1])
  length = redis.call('RPUSH', KEYS[4], ARGV[i])
end
if length <= count then redis.call('PEXPIRE', KEYS[4], ARGV[1]) end
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return length
