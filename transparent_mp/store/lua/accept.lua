-- Takes the first message of a list; what it holds for its receiver is from here on held by the taker.
-- KEYS: 1 list  2 holds of the taker  3 keys
-- ARGV: 1 base of session keys  2 base of object keys  3 taker  4 ttl ms
-- RETURNS: the message, or false when there is none.
-- INVARIANT: whenever the taker ends, so do its holds: there is no moment in which nobody holds.
local message = redis.call('LPOP', KEYS[1])
if not message then return false end
for token in string.gmatch(message, 'token%-%x+') do
  local holds = ARGV[1] .. 'holds:' .. token
  for _, hold in ipairs(redis.call('SMEMBERS', holds)) do
    local oid, side = string.match(hold, '^(%S+) (%S+)$')
    local holders = ARGV[2] .. oid .. '}:h' .. side
    redis.call('SADD', holders, ARGV[3])
    redis.call('SREM', holders, token)
    redis.call('SADD', KEYS[2], hold)
  end
  redis.call('DEL', holds)
  redis.call('SREM', KEYS[3], holds)
end
redis.call('SADD', KEYS[3], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return message
