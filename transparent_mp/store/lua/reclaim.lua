-- A process that took tasks has ended: those it had not begun go back to the head of the list.
-- KEYS: 1 list of tasks  2 what the process had taken  3 that this had come there  4 keys
-- ARGV: 1 ttl ms  2 1 if the process may still go on somewhere, else 0
-- RETURNS: of each task that it had begun its message's tag and its place there (2 bytes): one at most, or all
--          if it may have results untold.
-- INVARIANT: it takes nothing any more and has no result any more, should it go on: a string stands where
--            its list was, on which every move and push of it fails.
--@include groups
local begun = {}
if redis.call('TYPE', KEYS[2])['ok'] == 'list' then
  local many = redis.call('GET', KEYS[3])
  if many then
    for _, message in ipairs(redis.call('LRANGE', KEYS[2], 0, many == '2' and -1 or 0)) do
      local first, last = range_of(message)
      local behind = many == '2' and last or first + 1
      for place = first, behind - 1 do
        begun[#begun + 1] = string.sub(message, 1, 16) .. struct.pack('>I2', place)
      end
      redis.call('LPOP', KEYS[2])
      if behind < last then redis.call('LPUSH', KEYS[2], part_of(message, behind, last)) end
    end
  end
  while redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') do
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('SREM', KEYS[4], KEYS[2], KEYS[3])
if ARGV[2] == '1' then
  redis.call('SET', KEYS[2], 'gone', 'PX', ARGV[1])
  redis.call('SADD', KEYS[4], KEYS[2])
end
return begun
