-- A process publishes what it changed in a large segment.
-- KEYS: 1 holders  2 segment  3 blocks
-- ARGV: 1 writer  2 ttl ms  3 object id  4 the numbers of the blocks, as its journal has them
--       5 bytes of a block  6.. parts: sequence number, version that the writer had seen, name, count, then count times
--           block, where, bytes; where is an offset in the block, "=" for a whole block that the
--           writer wrote all of, or "m" and a mask: bytes are the whole block as the writer sees
--           it, a bit of the mask for each (the highest first) says whether the writer wrote it;
--           "@" and "M" mean the same of bytes that lie in the segment already, as BLOCK:NAME; behind
--           "M" is the place of its mask among those that lie there as NAME.NUMBER, 512 bytes each.
--           "T" and "t" with a count are tracts: so many blocks from this one on, whose bytes lie there together;
--           behind "t" is the place of their masks; "T" has none, since the last thing that the writer knows of
--           these blocks is the tract that it published before. "-" says that it relies on that no longer
-- RETURNS: version, or 0 when the segment is gone. An error, and nothing is done, where the bytes are not there.
-- INVARIANT: a part is applied once, and after every part of its writer with a lower number; a byte
--            that its writer did not write keeps the value that others gave it. What lies as BLOCK:NAME and
--            is not what the block has, is deleted; so are the masks. A block of a tract that is held has no claim;
--            a tract that others have written in is taken apart, and its bytes are kept as long as its
--            writer relies on them.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('UNLINK', KEYS[2])
  return 0
end
local writer, data, size = ARGV[1], KEYS[2], tonumber(ARGV[5])
local meta = redis.call('HMGET', data, 'n', 'w', 'f', 's:' .. writer, 'j', 't')
local before, owner, foreign = tonumber(meta[1] or '0'), meta[2], tonumber(meta[3] or '0')
local applied = tonumber(meta[4] or '0')
local version, fresh, last_name = before + 1, false, ''

-- The latest publications, each "VERSION NAME BLOCKS;", the latest first.
local JOURNAL = 1500
local function journal()
  local entry = version .. ' ' .. last_name .. ' ' .. ARGV[4] .. ';'
  local kept = entry .. (meta[5] or '')
  if #kept > JOURNAL then kept = string.match(string.sub(kept, 1, math.max(JOURNAL, #entry)), '^.*;') end
  return kept
end

-- Most publications of a tract: it is held, and nothing else comes with it.
local function again()
  local number, name, first = tonumber(ARGV[6]), ARGV[8], ARGV[10]
  local count = string.match(ARGV[11], '^T(%d+)$')
  if not count or not meta[6] or number <= applied then return false end
  local text = ';' .. meta[6]
  local _, from = string.find(text, string.format(';%s %d ', first, first + count), 1, true)
  if not from then return false end
  local _, to, other, by, was = string.find(text, '^%d+ (%d+) (%S+) (%S+) [LU];', from + 1)
  if by ~= writer or redis.call('HEXISTS', data, first .. ':' .. name) == 0 then return false end
  redis.call('HDEL', data, first .. ':' .. was)
  applied, last_name = number, name
  text = string.format('%s%d %s %s %s L;%s', string.sub(text, 2, from), version, other, by, name,
                       string.sub(text, to + 1))
  redis.call('HSET', data, 'n', version, 'w', writer, 's:' .. writer, applied,
             'f', owner == writer and foreign or before, 'j', journal(), 't', text)
  return true
end
if #ARGV == 12 and again() then return version end

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

-- The version in which somebody else last changed the block.
local function foreign_to(was)
  if was[3] == writer then return was[2] end
  return was[1] or '0'
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

-- Tracts, by their first block, and those whose bytes are kept (state "G"). One that is held is relied on ("L") or
-- not ("U").
local tracts, kept, marked = {}, {}, false
for first, stop, last, other, by, name, state in
  string.gmatch(meta[6] or '', '(%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%a);') do
  local one = {first = tonumber(first), stop = tonumber(stop), last = last, other = other, by = by, name = name,
               state = state}
  if state == 'G' then kept[#kept + 1] = one else tracts[#tracts + 1] = one end
end

-- The tract that has a block; its place, or the one that it would have.
local function tract_of(block)
  local low, high = 1, #tracts
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local one = tracts[middle]
    if block < one.first then high = middle - 1 elseif block >= one.stop then low = middle + 1
    else return one, middle end
  end
  return nil, low
end

local function change(block)
  if not changed[block] then
    changed[block] = true
    order[#order + 1] = block
  end
end

-- Its blocks are blocks as all others are.
local function take_apart(one, place)
  local whole = content(field(one.first, one.name))
  table.remove(tracts, place)
  for number = one.first, one.stop - 1 do
    local block, from = tostring(number), size * (number - one.first)
    redis.call('HSET', data, block, string.sub(whole, from + 1, from + size))
    redis.call('ZADD', KEYS[3], one.last, block)
    claims[block] = one.last .. ' ' .. one.other .. ' ' .. one.by
    redis.call('HSET', data, 'b:' .. block, claims[block])
    gone[block] = nil
  end
  if one.by ~= writer and one.state == 'L' then
    one.state = 'G'
    kept[#kept + 1] = one
  else
    gone[field(one.first, one.name)] = true
  end
  marked = true
end

-- What was kept for the writer, which is kept no longer.
local function let_go(first)
  for place, one in ipairs(kept) do
    if one.first == first and one.by == writer then
      table.remove(kept, place)
      gone[field(first, one.name)] = true
      marked = true
      return content(field(first, one.name))
    end
  end
end

local function leave(first)
  local one = tract_of(first)
  if not let_go(first) and one and one.first == first and one.by == writer then
    one.state, marked = 'U', true
  end
end

-- The mask of what differs.
local function difference(old, new)
  old = old .. string.rep('\0', #new - #old)
  local out = {}
  for at = 1, #new, 8 do
    local bits, a, b = 0, string.sub(old, at, at + 7), string.sub(new, at, at + 7)
    if a ~= b then
      for place = 1, 8 do
        bits = 2 * bits + (string.byte(a, place) ~= string.byte(b, place) and 1 or 0)
      end
    end
    out[#out + 1] = string.char(bits)
  end
  return table.concat(out)
end

-- Others have written some of its blocks, of which the writer does not know.
local function mix(known, first, stop, base, name, masks, place)
  local whole = content(field(first, name))
  for number = first, stop - 1 do
    local block, from = tostring(number), size * (number - first)
    local was, bytes = parse(claims[block]), string.sub(whole, from + 1, from + size)
    local other, old = foreign_to(was), was[4] and field(block, was[4])
    if tonumber(other) > known then
      local wrote = place and mask(masks, place + number - first)
        or base and difference(string.sub(base, from + 1, from + size), bytes)
      -- Without what it was, which the store has refused and said so, nothing is known of what was written.
      bytes = wrote and blend(content(old), wrote, bytes)
    end
    if bytes then
      redis.call('HSET', data, block, bytes)
      claims[block] = claim(claims[block], other, '')
      if old and old ~= block then gone[old] = true end
      gone[block] = nil
      change(block)
    end
  end
  kept[#kept + 1] = {first = first, stop = stop, last = version, other = '0', by = writer, name = name, state = 'G'}
end

-- Nobody else has written there: one string instead of its blocks.
local function hold(first, stop, latest, name)
  for from = first, stop - 1, STRETCH do
    local names, blocks = {}, {}
    for number = from, math.min(stop, from + STRETCH) - 1 do
      local block = tostring(number)
      local under = parse(claims[block])[4]
      if under then gone[field(block, under)] = true end
      blocks[#blocks + 1], names[#names + 1] = block, 'b:' .. block
      claims[block] = ''
    end
    redis.call('HDEL', data, unpack(names))
    redis.call('ZREM', KEYS[3], unpack(blocks))
  end
  local _, place = tract_of(first)
  table.insert(tracts, place, {first = first, stop = stop, last = version, other = latest, by = writer, name = name,
                               state = 'L'})
  gone[field(first, name)] = nil
end

local function put_tract(known, first, where, name, masks)
  local count, place = string.match(where, '^%a(%d+) ?(%d*)$')
  first = tonumber(first)
  local stop = first + tonumber(count)
  local one = tract_of(first)
  marked = true
  if one and one.first == first and one.stop == stop and one.by == writer then
    gone[field(first, one.name)] = true
    gone[field(first, name)] = nil
    one.last, one.name, one.state = version, name, 'L'
    return
  end
  local blocks = {}
  for number = first, stop - 1 do
    local other, at = tract_of(number)
    if other then take_apart(other, at) end
    if not claims[tostring(number)] then blocks[#blocks + 1] = tostring(number) end
  end
  for from = 1, #blocks, STRETCH do
    local names = {}
    for at = from, math.min(#blocks, from + STRETCH - 1) do names[#names + 1] = 'b:' .. blocks[at] end
    for at, found in ipairs(redis.call('HMGET', data, unpack(names))) do claims[blocks[from + at - 1]] = found or '' end
  end
  local base, latest, alone = let_go(first), 0, true
  for number = first, stop - 1 do
    local other = tonumber(foreign_to(parse(claims[tostring(number)])))
    latest, alone = math.max(latest, other), alone and other <= known
  end
  if alone then hold(first, stop, latest, name) else mix(known, first, stop, base, name, masks, tonumber(place)) end
end

local function put(known, block, where, bytes, name, masks)
  local kind = string.sub(where, 1, 1)
  if kind == '-' then return leave(tonumber(block)) end
  if kind == 'T' or kind == 't' then return put_tract(known, block, where, name, masks) end
  if #tracts > 0 then
    local one, place = tract_of(tonumber(block))
    if one then take_apart(one, place) end
  end
  local was = parse(claims[block])
  local other, under = foreign_to(was), was[4]
  local old = under and field(block, under)
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
  change(block)
  if old and old ~= place then gone[old] = true end
  gone[place] = nil
  -- At once: bytes that are kept for a common call take longer than the calls.
  if bytes then redis.call('HSET', data, place, bytes) end
end

-- What lies there of a part that was applied before.
local function tidy(block, where, name)
  local kind = string.sub(where, 1, 1)
  if kind == 'T' or kind == 't' then
    for _, list in ipairs({tracts, kept}) do
      for _, one in ipairs(list) do
        if one.first == tonumber(block) and one.name == name then return end
      end
    end
    gone[field(block, name)] = true
  elseif (kind == '@' or kind == 'M') and parse(claims[block])[4] ~= name then gone[field(block, name)] = true end
end

local function write()
  for from = 1, #order, STRETCH do
    local known, versions = {}, {}
    for at = from, math.min(#order, from + STRETCH - 1) do
      local block, n = order[at], #known
      -- Not where a tract has it since.
      if claims[block] ~= '' then
        known[n + 1], known[n + 2] = 'b:' .. block, claims[block]
        versions[n + 1], versions[n + 2] = version, block
      end
    end
    if #known > 0 then
      redis.call('HSET', data, unpack(known))
      redis.call('ZADD', KEYS[3], unpack(versions))
    end
  end
end

local function write_tracts()
  local words = {}
  for _, list in ipairs({tracts, kept}) do
    for _, one in ipairs(list) do
      local parts = {one.first, one.stop, one.last, one.other, one.by, one.name, one.state}
      words[#words + 1] = table.concat(parts, ' ') .. ';'
    end
  end
  redis.call('HSET', data, 't', table.concat(words))
end

local function sweep()
  local names = {}
  for name in pairs(gone) do names[#names + 1] = name end
  for from = 1, #names, STRETCH do
    redis.call('HDEL', data, unpack(names, from, math.min(#names, from + STRETCH - 1)))
  end
end

-- Whether everything is there that the entries of a part speak of: a store that was full for a moment has refused
-- all of it, or all of the masks.
local function complete(first, last, name, number)
  local staged, masked
  for at = first, last, 3 do
    local kind = string.sub(ARGV[at + 1], 1, 1)
    if not staged and string.find(kind, '[@MTt]') then staged = field(ARGV[at], name) end
    if kind == 'M' or kind == 't' then
      masked = name .. '.' .. number
      break
    end
  end
  return (not staged or redis.call('HEXISTS', data, staged) == 1)
    and (not masked or redis.call('HEXISTS', data, masked) == 1)
end

local i = 6
while i <= #ARGV do
  local count = tonumber(ARGV[i + 3])
  if tonumber(ARGV[i]) > applied and not complete(i + 4, i + 3 + 3 * count, ARGV[i + 2], ARGV[i]) then
    return redis.error_reply('ABSENT the store has refused bytes of shared memory, and these changes are lost')
  end
  i = i + 4 + 3 * count
end

i = 6
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
if marked then write_tracts() end
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
