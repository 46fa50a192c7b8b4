-- Fences a process off: no further link of it is admitted. Adds those that it has to `links`.
local function fence(base, pid, links)
  local process = base .. 'process:' .. pid
  local uid = redis.call('HGET', process, 'uid')
  if not uid then return end
  redis.call('HSET', process, 'fenced', 1)
  for _, link in ipairs(redis.call('HVALS', base .. 'links:' .. uid)) do links[#links + 1] = link end
end
