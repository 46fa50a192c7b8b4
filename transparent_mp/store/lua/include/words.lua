-- A word to one waiter ends its wait, now or when it comes to listen.
local function tell(words, waiter, word, ttl)
  redis.call('RPUSH', words .. waiter, word)
  redis.call('PEXPIRE', words .. waiter, ttl)
end
