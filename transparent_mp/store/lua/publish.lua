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
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('UNLINK', KEYS[2])
  return 0
end
local writer, data = ARGV[1], KEYS[2]
--@include bytes

-- What is known of each block, and the bytes of those of which a writer wrote some: all by one call.
local names, claim_at, bytes_at = {'n', 'w', 'f', 's:' .. writer}, {}, {}
local i = 4
while i <= #ARGV do
  local last = i + 2 + 3 * tonumber(ARGV[i + 2])
  for at = i + 3, last, 3 do
    local block = ARGV[at]
    if not claim_at[block] then
      claim_at[block] = #names + 1
      names[#names + 1] = 'b:' .. block
    end
    if not bytes_at[block] and tonumber(ARGV[at + 1]) then
      bytes_at[block] = #names + 1
      names[#names + 1] = block
    end
  end
  i = last + 1
end
local found = redis.call('HMGET', data, unpack(names))
local before, owner, foreign = tonumber(found[1] or '0'), found[2], tonumber(found[3] or '0')
local applied = tonumber(found[4] or '0')
local version = before + 1

-- Of each block what its bytes become, and the last version of another than its writer.
local contents, others = {}, {}

local function bytes_of(block)
  return contents[block] or bytes_at[block] and found[bytes_at[block]] or redis.call('HGET', data, block) or ''
end

local function put(known, block, where, bytes)
  local other = others[block]
  if not other then
    local last, foreigner, by = string.match(found[claim_at[block]] or '', '^(%d+) (%d+) (%S+)')
    other = by == writer and foreigner or last or '0'
    others[block] = other
  end
  if tonumber(where) then
    bytes = splice(bytes_of(block), tonumber(where), bytes)
  elseif where ~= '=' and tonumber(other) > known then
    bytes = blend(bytes_of(block), string.sub(where, 2), bytes)
  end
  contents[block] = bytes
end

i = 4
while i <= #ARGV do
  local number, known, last = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), i + 2 + 3 * tonumber(ARGV[i + 2])
  if number > applied then
    applied = number
    for at = i + 3, last, 3 do put(known, ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
  end
  i = last + 1
end
if next(contents) == nil and applied == tonumber(found[4] or '0') then return before end
local fields = {'n', version, 'w', writer, 's:' .. writer, applied, 'f', owner == writer and foreign or before,
                'o', ARGV[3]}
for block, bytes in pairs(contents) do
  local n = #fields
  fields[n + 1], fields[n + 2] = block, bytes
  fields[n + 3], fields[n + 4] = 'b:' .. block, version .. ' ' .. others[block] .. ' ' .. writer
end
redis.call('HSET', data, unpack(fields))
if before == 0 then redis.call('PEXPIRE', data, ARGV[2]) end
return version
