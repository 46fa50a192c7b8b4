-- A process fetches what others changed in segments.
-- KEYS: of each segment 1 segment  2 blocks
-- ARGV: 1 reader  2 "1" for one of several that are under way, "own" to be given its own changes too; of
--       each segment object id, version that it has seen, blocks after which its answer may stop short
--       (of a small one, the number of its blocks as a negative)
-- RETURNS: an answer for each: {object id, version that the answer reaches, version now, number of the
--          reader's last part that was applied, version from which on, block, bytes, block, bytes, ...};
--          bytes lack trailing zeros, and those of a tract follow its first block. Behind the news of a large
--          one, not under way, stand -1, its journal and its tracts.
-- INVARIANT: whoever has seen the version from which on, and applies an answer that reaches the version
--            now, has seen every change. One that stops short is gone on with from the version that it
--            reached, with "own": a block in it may since have moved behind a later change of the
--            reader's own. Of several that are under way each begins where the one before ended.
-- A store that is full refuses the note of where it ended: then more is sent than is needed.
local reader, under_way = ARGV[1], ARGV[2] == '1'
-- Whose changes are no news.
local but = ARGV[2] == 'own' and '' or reader

-- A call takes no more blocks.
local STRETCH = 1000

-- Adds to an answer those of some blocks that others have changed.
local function add(answer, data, known, blocks, from)
  local names, wanted, places = {}, {}, {}
  for at = from, math.min(#blocks, from + STRETCH - 1) do names[#names + 1] = 'b:' .. blocks[at] end
  for at, claim in ipairs(redis.call('HMGET', data, unpack(names))) do
    local last, other, by, under = string.match(claim or '', '^(%d+) (%d+) (%S+) ?(.*)$')
    if by and tonumber(by == but and other or last) > known then
      local block = blocks[from + at - 1]
      wanted[#wanted + 1] = block
      places[#wanted] = under == '' and block or block .. ':' .. under
    end
  end
  if #wanted == 0 then return end
  local found, n = redis.call('HMGET', data, unpack(places)), #answer
  for at, block in ipairs(wanted) do answer[n + 2 * at - 1], answer[n + 2 * at] = block, found[at] end
end

-- The same of tracts.
local function add_tracts(answer, data, known, text, most)
  local found, size, reached = {}, 0, 0
  for first, stop, last, other, by, name, state in
    string.gmatch(text, '(%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (%a);') do
    if state ~= 'G' and tonumber(by == but and other or last) > known then
      found[#found + 1] = {tonumber(last), tonumber(first), tonumber(stop), name}
    end
  end
  table.sort(found, function(one, other) return one[1] < other[1] end)
  for _, one in ipairs(found) do
    if size >= most and one[1] > reached then
      answer[2] = math.min(answer[2], reached)
      return
    end
    size, reached = size + one[3] - one[2], one[1]
    local n = #answer
    answer[n + 1], answer[n + 2] = one[2], redis.call('HGET', data, one[2] .. ':' .. one[4])
  end
end

local function look(data, changed, oid, known, most)
  local meta = redis.call('HMGET', data, 'n', 'w', 'f', 's:' .. reader, 'e:' .. reader, 'j', 't')
  local now = tonumber(meta[1] or '0')
  if under_way then known = math.max(known, tonumber(meta[5] or '0')) end
  local answer = {oid, now, now, tonumber(meta[4] or '0'), known}
  if (meta[2] == but and tonumber(meta[3]) or now) <= known then return answer end
  local blocks = {}
  if most < 0 then
    for block = 0, -most - 1 do blocks[block + 1] = block end
  else
    local found = redis.call('ZRANGEBYSCORE', changed, '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
    if #found == 2 * most then
      -- All of the last version that is begun, and nothing later.
      answer[2] = tonumber(found[#found])
      found = redis.call('ZRANGEBYSCORE', changed, '(' .. known, found[#found], 'WITHSCORES')
    end
    for i = 1, #found, 2 do blocks[#blocks + 1] = tonumber(found[i]) end
  end
  for from = 1, #blocks, STRETCH do add(answer, data, known, blocks, from) end
  if meta[7] then add_tracts(answer, data, known, meta[7], most) end
  if most >= 0 and meta[6] and not under_way then
    answer[#answer + 1] = -1
    answer[#answer + 1] = meta[6]
    answer[#answer + 1] = meta[7] or ''
  end
  if under_way then redis.pcall('HSET', data, 'e:' .. reader, answer[2]) end
  return answer
end

local answers = {}
for i = 1, #KEYS / 2 do
  answers[i] = look(KEYS[2 * i - 1], KEYS[2 * i],
                    ARGV[3 * i], tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]))
end
return answers
