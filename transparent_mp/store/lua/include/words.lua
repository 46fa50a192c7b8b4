-- A word to one waiter ends its wait, now or when it comes to listen.
local function tell(words, waiter, word, ttl)
  redis.call('RPUSH', words .. waiter, word)
  redis.call('PEXPIRE', words .. waiter, ttl)
end

-- The word to those who came first, `most` of them; returns how many were told.
local function wake(waiting, holders, most, words, ttl)
  local woken = 0
  while woken < most do
    local waiter = redis.call('LPOP', waiting)
    if not waiter then break end
    -- A process that has ended does not hold the condition any more.
    if redis.call('SISMEMBER', holders, string.match(waiter, '^(.*)%.')) == 1 then
      tell(words, waiter, 'woken', ttl)
      woken = woken + 1
    end
  end
  return woken
end
