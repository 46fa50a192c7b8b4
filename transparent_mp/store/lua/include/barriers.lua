-- Lets the first `parties` of those who wait pass, each with its place; `but` needs no word.
local function pass(waiting, words, parties, but, ttl)
  for place = 0, parties - 1 do
    local waiter = redis.call('LPOP', waiting)
    if waiter ~= but then tell(words, waiter, place, ttl) end
  end
end

-- While all parties are there: lets them pass, or has the last of them run the action first.
local function advance(state, waiting, words, parties, action, ttl)
  while redis.call('HEXISTS', state, 'acting') == 0 and redis.call('LLEN', waiting) >= parties do
    if action then
      local last = redis.call('LINDEX', waiting, parties - 1)
      redis.call('HSET', state, 'acting', last)
      redis.call('PEXPIRE', state, ttl)
      tell(words, last, 'act', ttl)
    else
      pass(waiting, words, parties, '', ttl)
    end
  end
end
