-- Forgets the lines of a member that has ended.
local function forget_lines(base, owner, keys)
  local links = base .. 'links:' .. owner
  for _, line in ipairs(redis.call('HKEYS', links)) do
    redis.call('DEL', base .. 'line:' .. line, base .. 'taken:' .. line)
    redis.call('SREM', keys, base .. 'line:' .. line, base .. 'taken:' .. line)
  end
  redis.call('DEL', links)
  redis.call('SREM', keys, links)
end
