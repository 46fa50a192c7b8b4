-- A worker is given up: launched and never came, or its lease is over, or its launcher saw it end.
-- What it was given and has not taken goes back to the head of ready, for another worker: it has not begun.
-- KEYS: 1 workers  2 starting  3 keys  4 ready
-- ARGV: 1 base of session keys  2 worker  3 "lease" to do so only when its lease is over, else "now"  4 ttl ms
-- RETURNS: {pids that end with it, links of it and of them}: the caller ends the links, then reports the
--          exits; false when it is not to be given up.
-- INVARIANT: afterwards renew answers -1 and check_in -2 to that worker, and no link of it or of its
--            processes is admitted. A process is either in ready, or in running:W of exactly one worker W.
--@include fencing
--@include lines

-- One that was to be signalled meanwhile, or whose parent has ended, is not begun elsewhere without that.
local function take_back(base, worker, running, ready, ttl)
  local frames, told, all_told = redis.call('LRANGE', base .. 'control:' .. worker, 0, -1), {}, false
  for i = #frames, 1, -1 do
    local is_json, head = pcall(cjson.decode, string.match(frames[i], '^[^\n]*'))
    if is_json and type(head) == 'table' and type(head.kind) == 'string' and head.kind ~= 'leave' then
      local pid = tostring(head.pid)
      if head.kind ~= 'run' then
        told[pid] = true
        all_told = all_told or not head.pid
      elseif not all_told and not told[pid] and redis.call('SREM', running, pid) == 1 then
        redis.call('HSET', base .. 'process:' .. pid, 'worker', '')
        redis.call('LPUSH', ready, frames[i])
        redis.call('PEXPIRE', ready, ttl)
      end
    end
  end
end

local base, worker = ARGV[1], ARGV[2]
local lease, running = base .. 'lease:' .. worker, base .. 'running:' .. worker
if ARGV[3] == 'lease' and redis.call('EXISTS', lease) == 1 then return false end
local known = redis.call('ZREM', KEYS[1], worker) + redis.call('SREM', KEYS[2], worker)
if known == 0 then return false end
take_back(base, worker, running, KEYS[4], ARGV[4])
local pids = redis.call('SMEMBERS', running)
local links = redis.call('HVALS', base .. 'links:' .. worker)
for _, pid in ipairs(pids) do fence(base, pid, links) end
for _, part in ipairs({'lease:', 'running:', 'worker:', 'control:'}) do
  redis.call('DEL', base .. part .. worker)
  redis.call('SREM', KEYS[3], base .. part .. worker)
end
forget_lines(base, worker, KEYS[3])
return {pids, links}
