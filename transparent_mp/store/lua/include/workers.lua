-- A worker that is to be given nothing more has this added to its load.
local RETIRED = 1000000

-- Workers that take processes.
local function serving(workers) return redis.call('ZCOUNT', workers, '-inf', '(' .. RETIRED) end

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

-- A worker for one more: with a free core if there is such a one, of these that with the fewest, so that others
-- may leave; else the least loaded with a free slot; or nil. Then whether a core is free, and how many it has.
local function place_for(base, workers)
  local least = redis.call('ZRANGE', workers, 0, 0, 'WITHSCORES')
  if not least[1] then return nil, false, 1 end
  local load = tonumber(least[2])
  local record = redis.call('HMGET', base .. 'worker:' .. least[1], 'slots', 'cores')
  local slots, cores = tonumber(record[1] or '0'), tonumber(record[2] or '1')
  if load >= slots then return nil, false, cores end
  if load >= cores then return least[1], false, cores end
  -- All workers of a session are alike.
  local free = '(' .. math.min(cores, slots)
  return redis.call('ZREVRANGEBYSCORE', workers, free, '-inf', 'LIMIT', 0, 1)[1], true, cores
end

-- Hands a process to a worker with a free core; to a busy one when no further worker may come and each of those
-- that come has enough that waits; else it waits.
-- Returns 1 when a worker has it, else 0; then workers, starting, waiting.
local function hand_over(base, workers, starting, ready, frame, ttl, limit)
  local worker, free, cores = place_for(base, workers)
  local count, coming = serving(workers), redis.call('SCARD', starting)
  local given, waiting = 0, redis.call('LLEN', ready)
  if worker and (free or (limit > 0 and count + coming >= limit and waiting >= coming * cores)) then
    given = 1
    redis.call('ZINCRBY', workers, 1, worker)
    give(base, worker, frame, ttl)
  else
    waiting = redis.call('RPUSH', ready, frame)
    redis.call('PEXPIRE', ready, ttl)
  end
  return given, count, coming, waiting
end

-- Tells the children of a holder that it has ended.
local function tell_orphans(base, uid, ttl, keys)
  local children = base .. 'children:' .. uid
  for _, child in ipairs(redis.call('SMEMBERS', children)) do
    local where = redis.call('HGET', base .. 'process:' .. child, 'worker')
    if where and where ~= '' then
      redis.call('RPUSH', base .. 'control:' .. where, cjson.encode({kind = 'orphan', pid = tonumber(child)}) .. '\n')
      redis.call('PEXPIRE', base .. 'control:' .. where, ttl)
    end
  end
  redis.call('DEL', children)
  redis.call('SREM', keys, children)
end
