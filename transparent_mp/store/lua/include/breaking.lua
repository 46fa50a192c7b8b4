-- Ends every wait at a barrier with an error, and the action that is under way.
local function fail_all(state, waiting, words, ttl)
  local acting = redis.call('HGET', state, 'acting')
  redis.call('HDEL', state, 'acting')
  for _, waiter in ipairs(redis.call('LRANGE', waiting, 0, -1)) do
    if waiter ~= acting then tell(words, waiter, 'broken', ttl) end
  end
  redis.call('DEL', waiting)
end

local function break_all(state, waiting, words, ttl)
  fail_all(state, waiting, words, ttl)
  redis.call('HSET', state, 'broken', 1)
  redis.call('PEXPIRE', state, ttl)
end
