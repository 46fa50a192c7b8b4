-- A process publishes what it changed in a small segment.
-- KEYS: 1 holders  2 segment
-- ARGV: 1 writer  2 ttl ms  3 object id
--       4.. parts: sequence number, version that the writer had seen, count, then count times block, where,
--           bytes; where is an offset in the block, "=" for a whole block that the writer wrote all of, or
--           "m" and a mask: bytes are the whole block as the writer sees it, a bit of the mask for each (the
--           highest first) says whether the writer wrote it
-- RETURNS: version, or 0 when the segment is gone.
-- INVARIANT: a part is applied once, and after every part of its writer with a lower number; a byte
--            that its writer did not write keeps the value that others gave it.
local writer, data = ARGV[1], KEYS[2]
--@include bytes

-- What is known of each block, and the bytes of those of which a writer wrote some: all by one call.
local names, claim_at, bytes_at = {'n', 'w', 'f', 's:' .. writer}, {}, {}
local i, n = 4, 4
while i <= #ARGV do
  local last = i + 2 + 3 * ARGV[i + 2]
  for at = i + 3, last, 3 do
    local block = ARGV[at]
    if not claim_at[block] then
      n = n + 1
      names[n], claim_at[block] = 'b:' .. block, n
    end
    if not bytes_at[block] and tonumber(ARGV[at + 1]) then
      n = n + 1
      names[n], bytes_at[block] = block, n
    end
  end
  i = last + 1
end
local found = redis.call('HMGET', data, unpack(names))
local was, before = found[1], tonumber(found[1] or '0')
-- What was published is deleted with the last holder.
if not was and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('UNLINK', data)
  return 0
end
local applied, version = tonumber(found[4] or '0'), string.format('%d', before + 1)

-- Of each block what its bytes become, and the last version of another than its writer.
local contents, others, latest = {}, {}, nil
i = 4
while i <= #ARGV do
  local known, last = tonumber(ARGV[i + 1]), i + 2 + 3 * ARGV[i + 2]
  if tonumber(ARGV[i]) > applied then
    latest = ARGV[i]
    applied = tonumber(latest)
    for at = i + 3, last, 3 do
      local block, where, bytes = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      local other = others[block]
      if not other then
        local another, foreigner, by = string.match(found[claim_at[block]] or '', '^(%d+) (%d+) (%S+)')
        other = by == writer and foreigner or another or '0'
        others[block] = other
      end
      local offset = tonumber(where)
      if offset or (where ~= '=' and tonumber(other) > known) then
        local old = contents[block] or bytes_at[block] and found[bytes_at[block]]
          or redis.call('HGET', data, block) or ''
        bytes = offset and splice(old, offset, bytes) or blend(old, string.sub(where, 2), bytes)
      end
      contents[block] = bytes
    end
  end
  i = last + 1
end
if not latest then return before end
local foreign = found[2] == writer and (found[3] or '0') or was or '0'
local fields = {'n', version, 'w', writer, 's:' .. writer, latest, 'f', foreign, 'o', ARGV[3]}
n = 10
for block, bytes in pairs(contents) do
  fields[n + 1], fields[n + 2] = block, bytes
  fields[n + 3], fields[n + 4] = 'b:' .. block, version .. ' ' .. others[block] .. ' ' .. writer
  n = n + 4
end
redis.call('HSET', data, unpack(fields))
if not was then redis.call('PEXPIRE', data, ARGV[2]) end
return before + 1
