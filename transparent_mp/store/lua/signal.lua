-- Sends a signal to a process, wherever it is.
-- KEYS: 1 ready  2 keys
-- ARGV: 1 base of session keys  2 pid  3 signal  4 ttl ms
-- RETURNS: 0 no such process  1 its worker was told, or there is nothing to tell (signal 0)  2 it still waited and is withdrawn: the caller
--          reports its exit  3 it still waits, and the signal would not end it.
-- INVARIANT: a withdrawn process never runs.
local base, pid, ttl = ARGV[1], ARGV[2], ARGV[4]
local worker = redis.call('HGET', base .. 'process:' .. pid, 'worker')
if not worker then return 0 end
if ARGV[3] == '0' then return 1 end
if worker ~= '' then
  local control = base .. 'control:' .. worker
  redis.call('RPUSH', control, cjson.encode({kind = 'signal', pid = tonumber(pid), signal = tonumber(ARGV[3])}) .. '\n')
  redis.call('PEXPIRE', control, ttl)
  return 1
end
local ends = {['1'] = true, ['2'] = true, ['3'] = true, ['6'] = true, ['9'] = true, ['14'] = true, ['15'] = true}
if not ends[ARGV[3]] then return 3 end
for _, frame in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if tostring(cjson.decode(string.match(frame, '^[^\n]*')).pid) == pid then
    redis.call('LREM', KEYS[1], 1, frame)
    return 2
  end
end
return 0
