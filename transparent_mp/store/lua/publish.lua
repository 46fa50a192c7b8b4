-- A process publishes what it changed in a segment.
-- KEYS: 1 holders  2 data  3 version  4 blocks; of a small segment data and version are one hash
-- ARGV: 1 writer  2 ttl ms  3 object id of a small segment, else ""
--       4.. parts: sequence number, version that the writer had seen, count, then count times
--           block, where, bytes; where is an offset in the block, "=" for a whole block that the
--           writer wrote all of, or "m" and a mask: bytes are the whole block as the writer sees
--           it, a bit of the mask for each (the highest first) says whether the writer wrote it
-- RETURNS: version, or 0 when the segment is gone.
-- INVARIANT: a part is applied once, and after every part of its writer with a lower number; a byte
--            that its writer did not write keeps the value that others gave it.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local writer, small = ARGV[1], ARGV[3] ~= ''
local meta = redis.call('HMGET', KEYS[3], 'n', 'w', 'f', 's:' .. writer)
local before, owner, foreign = tonumber(meta[1] or '0'), meta[2], tonumber(meta[3] or '0')
local applied = tonumber(meta[4] or '0')
local version, fresh, grown = before + 1, false, 0

local function splice(old, at, bytes)
  if #old < at then old = old .. string.rep('\0', at - #old) end
  return string.sub(old, 1, at) .. bytes .. string.sub(old, at + #bytes + 1)
end

local function blend(old, mask, new)
  if #old < #new then old = old .. string.rep('\0', #new - #old) end
  local out = {}
  for i = 1, #mask do
    local bits, first = string.byte(mask, i), i * 8 - 7
    if bits == 255 then
      out[#out + 1] = string.sub(new, first, first + 7)
    elseif bits == 0 then
      out[#out + 1] = string.sub(old, first, first + 7)
    else
      for at = first, math.min(first + 7, #new) do
        local from = bit.band(bits, bit.rshift(128, at - first)) ~= 0 and new or old
        out[#out + 1] = string.sub(from, at, at)
      end
    end
  end
  return table.concat(out)
end

-- The version in which somebody else last changed the block.
local function claim(block)
  local last = tonumber(redis.call('ZSCORE', KEYS[4], block) or '0')
  local other, by = string.match(redis.call('HGET', KEYS[3], block) or '', '^(%d+) (.*)$')
  other = tonumber(other or '0')
  if by ~= writer then
    other = last
    redis.call('HSET', KEYS[3], block, string.format('%d %s', other, writer))
  end
  if last < version then redis.call('ZADD', KEYS[4], version, block) end
  return other
end

-- The same in a small segment, where b:BLOCK is "VERSION OTHER WRITER" (as claims has it).
local function claim_small(claims, block)
  local last, other, by = string.match(claims[block] or '', '^(%d+) (%d+) (.*)$')
  if by ~= writer then other = last or '0' end
  claims[block] = string.format('%d %d %s', version, other, writer)
  return tonumber(other)
end

local function put(known, block, where, bytes, claims)
  local other = claims and claim_small(claims, block) or claim(block)
  local kind = string.sub(where, 1, 1)
  if kind == 'm' and other > known then
    bytes = blend(redis.call('HGET', KEYS[2], block) or '', string.sub(where, 2), bytes)
  elseif kind ~= 'm' and kind ~= '=' then
    bytes = splice(redis.call('HGET', KEYS[2], block) or '', tonumber(where), bytes)
  end
  if claims then
    grown = grown + redis.call('HSET', KEYS[2], block, bytes, 'b:' .. block, claims[block])
  else
    grown = grown + redis.call('HSET', KEYS[2], block, bytes)
  end
end

-- What is known of the blocks of a part, at once.
local function claims_of(first, last)
  local names, claims = {}, {}
  for at = first, last, 3 do names[#names + 1] = 'b:' .. ARGV[at] end
  local found = #names > 0 and redis.call('HMGET', KEYS[2], unpack(names)) or {}
  for at = 1, #names do claims[ARGV[first + 3 * (at - 1)]] = found[at] end
  return claims
end

local i = 4
while i <= #ARGV do
  local number, known, count = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  i = i + 3
  if number > applied then
    applied, fresh = number, true
    local last = i + 3 * count - 1
    local claims = small and claims_of(i, last)
    for at = i, last, 3 do put(known, ARGV[at], ARGV[at + 1], ARGV[at + 2], claims) end
  end
  i = i + 3 * count
end
if not fresh then return before end
redis.call('HSET', KEYS[3], 'n', version, 'w', writer, 's:' .. writer, applied,
           'f', owner == writer and foreign or before, 'o', ARGV[3])
if grown > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[4], ARGV[2])
end
return version
