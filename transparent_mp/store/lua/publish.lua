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

-- Of the blocks of a part, what is known of each, and what becomes of it. A call takes no more than STRETCH.
local STRETCH = 1000
local claims, order = {}, {}

local function look(first, last)
  for from = first, last, 3 * STRETCH do
    local names = {}
    for at = from, math.min(last, from + 3 * STRETCH - 1), 3 do names[#names + 1] = 'b:' .. ARGV[at] end
    for at, claim in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
      local block = ARGV[from + 3 * (at - 1)]
      if not claims[block] then
        claims[block] = claim or ''
        order[#order + 1] = block
      end
    end
  end
end

local function content(block) return redis.call('HGET', KEYS[2], block) or '' end

local function put(known, block, where, bytes)
  local last, other, by = string.match(claims[block], '^(%d+) (%d+) (.*)$')
  if by ~= writer then other = last or '0' end
  claims[block] = string.format('%d %s %s', version, other, writer)
  local kind = string.sub(where, 1, 1)
  if kind == 'm' then
    -- The version in which somebody else last changed the block.
    if tonumber(other) > known then bytes = blend(content(block), string.sub(where, 2), bytes) end
  elseif kind ~= '=' then
    bytes = splice(content(block), tonumber(where), bytes)
  end
  -- At once: bytes that are kept for a common call take longer than the calls.
  grown = grown + redis.call('HSET', KEYS[2], block, bytes)
end

local function write()
  for from = 1, #order, STRETCH do
    local known, versions = {}, {}
    for at = from, math.min(#order, from + STRETCH - 1) do
      local block, n = order[at], #known
      known[n + 1], known[n + 2] = 'b:' .. block, claims[block]
      versions[n + 1], versions[n + 2] = version, block
    end
    redis.call('HSET', KEYS[3], unpack(known))
    if not small then redis.call('ZADD', KEYS[4], unpack(versions)) end
  end
end

local i = 4
while i <= #ARGV do
  local number, known, count = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  i = i + 3
  if number > applied then
    applied, fresh = number, true
    local last = i + 3 * count - 1
    look(i, last)
    for at = i, last, 3 do put(known, ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
  end
  i = i + 3 * count
end
if not fresh then return before end
write()
redis.call('HSET', KEYS[3], 'n', version, 'w', writer, 's:' .. writer, applied,
           'f', owner == writer and foreign or before, 'o', ARGV[3])
if grown > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[4], ARGV[2])
end
return version
