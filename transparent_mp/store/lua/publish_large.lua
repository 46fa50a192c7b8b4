-- A process publishes what it changed in a large segment.
-- KEYS: 1 holders  2 segment  3 blocks
-- ARGV: 1 writer  2 ttl ms  3 object id  4 the numbers of the blocks, as its journal has them
--       5.. parts: sequence number, version that the writer had seen, name, count, then count times
--           block, where, bytes; where is an offset in the block, "=" for a whole block that the
--           writer wrote all of, or "m" and a mask: bytes are the whole block as the writer sees
--           it, a bit of the mask for each (the highest first) says whether the writer wrote it;
--           "@" and "M" mean the same of bytes that lie in the segment already, as BLOCK:NAME; behind
--           "M" is the place of its mask among those that lie there as NAME.NUMBER, 512 bytes each
-- RETURNS: version, or 0 when the segment is gone. An error, and nothing is done, where the bytes are not there.
-- INVARIANT: a part is applied once, and after every part of its writer with a lower number; a byte
--            that its writer did not write keeps the value that others gave it. What lies as BLOCK:NAME and
--            is not what the block has, is deleted; so are the masks.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('UNLINK', KEYS[2])
  return 0
end
local writer, data = ARGV[1], KEYS[2]
local meta = redis.call('HMGET', data, 'n', 'w', 'f', 's:' .. writer, 'j')
local before, owner, foreign = tonumber(meta[1] or '0'), meta[2], tonumber(meta[3] or '0')
local applied = tonumber(meta[4] or '0')
local version, fresh, last_name = before + 1, false, ''

--@include bytes
-- Of the blocks of a part, what is known of each, and what becomes of it. A call takes no more than STRETCH.
local STRETCH = 1000
-- Written are those of which something was applied: whoever has their last version has seen them.
local claims, changed, order = {}, {}, {}

local function look(first, last)
  for from = first, last, 3 * STRETCH do
    local names = {}
    for at = from, math.min(last, from + 3 * STRETCH - 1), 3 do names[#names + 1] = 'b:' .. ARGV[at] end
    for at, claim in ipairs(redis.call('HMGET', data, unpack(names))) do
      local block = ARGV[from + 3 * (at - 1)]
      claims[block] = claims[block] or claim or ''
    end
  end
end

-- Fields that hold nothing any more.
local gone = {}

local function field(block, name) return name == '' and block or block .. ':' .. name end
local function content(place) return place and redis.call('HGET', data, place) or '' end

-- What a claim says: last version and last of another than its writer, the writer, and the name of the bytes.
local parsed = {['']={}}
local function parse(claim)
  local found = parsed[claim]
  if not found then
    found = {string.match(claim, '^(%d+) (%d+) (%S+) ?(.*)$')}
    parsed[claim] = found
  end
  return found
end

-- What it becomes: blocks that were published together have the same.
local claimed = {}
local function claim(former, other, name)
  local key = former .. name
  if not claimed[key] then
    claimed[key] = string.format('%d %s %s%s', version, other, writer, name == '' and '' or ' ' .. name)
  end
  return claimed[key]
end

local function mask(masks, place)
  return string.sub(content(masks), 512 * place + 1, 512 * place + 512)
end

local function put(known, block, where, bytes, name, masks)
  local was = parse(claims[block])
  local last, other, under = was[1], was[2], was[4]
  if was[3] ~= writer then other = last or '0' end
  local old, kind = under and field(block, under), string.sub(where, 1, 1)
  -- The version in which somebody else last changed the block.
  local alone = tonumber(other) <= known
  if kind == 'M' and not alone then
    local staged = field(block, name)
    bytes = blend(content(old), mask(masks, tonumber(string.sub(where, 2))), content(staged))
    name, gone[staged] = '', true
  elseif kind == '@' or kind == 'M' then
    bytes = nil
  else
    name = ''
    if kind == 'm' then
      if not alone then bytes = blend(content(old), string.sub(where, 2), bytes) end
    elseif kind ~= '=' then
      bytes = splice(content(old), tonumber(where), bytes)
    end
  end
  local place = field(block, name)
  claims[block] = claim(claims[block], other, name)
  if not changed[block] then
    changed[block] = true
    order[#order + 1] = block
  end
  if old and old ~= place then gone[old] = true end
  gone[place] = nil
  -- At once: bytes that are kept for a common call take longer than the calls.
  if bytes then redis.call('HSET', data, place, bytes) end
end

-- What lies there of a part that was applied before.
local function tidy(block, where, name)
  local kind = string.sub(where, 1, 1)
  if (kind == '@' or kind == 'M') and parse(claims[block])[4] ~= name then gone[field(block, name)] = true end
end

local function write()
  for from = 1, #order, STRETCH do
    local known, versions = {}, {}
    for at = from, math.min(#order, from + STRETCH - 1) do
      local block, n = order[at], #known
      known[n + 1], known[n + 2] = 'b:' .. block, claims[block]
      versions[n + 1], versions[n + 2] = version, block
    end
    redis.call('HSET', data, unpack(known))
    redis.call('ZADD', KEYS[3], unpack(versions))
  end
end

local function sweep()
  local names = {}
  for name in pairs(gone) do names[#names + 1] = name end
  for from = 1, #names, STRETCH do
    redis.call('HDEL', data, unpack(names, from, math.min(#names, from + STRETCH - 1)))
  end
end

-- The latest publications, each "VERSION NAME BLOCKS;", the latest first.
local JOURNAL = 1500
local function journal()
  local entry = version .. ' ' .. last_name .. ' ' .. ARGV[4] .. ';'
  local kept = entry .. (meta[5] or '')
  if #kept > JOURNAL then kept = string.match(string.sub(kept, 1, math.max(JOURNAL, #entry)), '^.*;') end
  return kept
end

-- Whether everything is there that the entries of a part speak of: a store that was full for a moment has refused
-- all of it, or all of the masks.
local function complete(first, last, name, number)
  local staged, masked
  for at = first, last, 3 do
    local kind = string.sub(ARGV[at + 1], 1, 1)
    if (kind == '@' or kind == 'M') and not staged then staged = field(ARGV[at], name) end
    if kind == 'M' then
      masked = name .. '.' .. number
      break
    end
  end
  return (not staged or redis.call('HEXISTS', data, staged) == 1)
    and (not masked or redis.call('HEXISTS', data, masked) == 1)
end

local i = 5
while i <= #ARGV do
  local count = tonumber(ARGV[i + 3])
  if tonumber(ARGV[i]) > applied and not complete(i + 4, i + 3 + 3 * count, ARGV[i + 2], ARGV[i]) then
    return redis.error_reply('ABSENT the store has refused bytes of shared memory, and these changes are lost')
  end
  i = i + 4 + 3 * count
end

i = 5
while i <= #ARGV do
  local number, known, name, count = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3])
  i = i + 4
  local last = i + 3 * count - 1
  look(i, last)
  if number > applied then
    applied, fresh, last_name = number, true, name
    for at = i, last, 3 do put(known, ARGV[at], ARGV[at + 1], ARGV[at + 2], name, name .. '.' .. number) end
  else
    for at = i, last, 3 do tidy(ARGV[at], ARGV[at + 1], name) end
  end
  gone[name .. '.' .. number] = true
  i = i + 3 * count
end
if not fresh then
  sweep()
  return before
end
write()
sweep()
redis.call('HSET', data, 'n', version, 'w', writer, 's:' .. writer, applied,
           'f', owner == writer and foreign or before, 'o', ARGV[3], 'j', journal())
if before == 0 then
  -- A set in which a name is so long is no flat list, in which each of a hundred changes moves all others.
  redis.call('ZADD', KEYS[3], 0, string.rep('-', 65))
  redis.call('PEXPIRE', data, ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
end
return version
