-- Carries out commands of a line that change something, so that they can be numbered as scripts are.
-- ARGV: of each command its number of words, then these
-- RETURNS: their replies.
-- INVARIANT: an error ends it; what came before that stays done.
local replies, i = {}, 1
while i <= #ARGV do
  local count = tonumber(ARGV[i])
  replies[#replies + 1] = redis.call(unpack(ARGV, i + 1, i + count))
  i = i + count + 1
end
return replies
