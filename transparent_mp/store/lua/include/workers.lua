-- Gives the process of a frame to a worker: from here on it is in running:W and nowhere else.
local function give(base, worker, frame, ttl)
  local pid = cjson.decode(string.match(frame, '^[^\n]*')).pid
  local control, running = base .. 'control:' .. worker, base .. 'running:' .. worker
  redis.call('HSET', base .. 'process:' .. pid, 'worker', worker)
  redis.call('SADD', running, pid)
  redis.call('RPUSH', control, frame)
  redis.call('PEXPIRE', running, ttl)
  redis.call('PEXPIRE', control, ttl)
end

-- The least loaded worker with a free slot and its load, or nil.
local function least_loaded(base, workers)
  local least = redis.call('ZRANGE', workers, 0, 0, 'WITHSCORES')
  if not least[1] then return nil, -1 end
  local slots = tonumber(redis.call('HGET', base .. 'worker:' .. least[1], 'slots') or '0')
  if tonumber(least[2]) >= slots then return nil, tonumber(least[2]) end
  return least[1], tonumber(least[2])
end
