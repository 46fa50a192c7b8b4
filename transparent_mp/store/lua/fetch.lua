-- A process fetches what others changed in segments.
-- KEYS: of each segment 1 data  2 version  3 blocks; of a small one data and version are one hash
-- ARGV: 1 reader, "" to be given its own changes too  2 "1" for one of several that are under way; of
--       each segment object id, version that it has seen, blocks after which its answer may stop short
--       (of a small one, the number of its blocks as a negative)
-- RETURNS: an answer for each: {object id, version that the answer reaches, version now, number of the
--          reader's last part that was applied, version from which on, block, bytes, block, bytes, ...};
--          bytes lack trailing zeros.
-- INVARIANT: whoever has seen the version from which on, and applies an answer that reaches the version
--            now, has seen every change. One that stops short is gone on with from the version that it
--            reached, as reader "": a block in it may since have moved behind a later change of the
--            reader's own. Of several that are under way each begins where the one before ended.
-- A store that is full refuses the note of where it ended: then more is sent than is needed.
local reader, under_way = ARGV[1], ARGV[2] == '1'

local function look(data, versions, changed, oid, known, most)
  local meta = redis.call('HMGET', versions, 'n', 'w', 'f', 's:' .. reader, 'e:' .. reader)
  local now = tonumber(meta[1] or '0')
  if under_way then known = math.max(known, tonumber(meta[5] or '0')) end
  local answer = {oid, now, now, tonumber(meta[4] or '0'), known}
  if (meta[2] == reader and tonumber(meta[3]) or now) <= known then return answer end
  if most < 0 then
    local names, wanted = {}, {}
    for block = 0, -most - 1 do names[#names + 1] = 'b:' .. block end
    for at, claim in ipairs(redis.call('HMGET', versions, unpack(names))) do
      local last, other, by = string.match(claim or '', '^(%d+) (%d+) (.*)$')
      if tonumber((by == reader and other or last) or '0') > known then wanted[#wanted + 1] = at - 1 end
    end
    local found = #wanted > 0 and redis.call('HMGET', data, unpack(wanted)) or {}
    for at, block in ipairs(wanted) do answer[4 + 2 * at], answer[5 + 2 * at] = block, found[at] end
    if under_way then redis.pcall('HSET', versions, 'e:' .. reader, now) end
    return answer
  end
  local blocks = redis.call('ZRANGEBYSCORE', changed, '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  if #blocks == 2 * most then
    -- All of the last version that is begun, and nothing later.
    answer[2] = tonumber(blocks[#blocks])
    blocks = redis.call('ZRANGEBYSCORE', changed, '(' .. known, blocks[#blocks], 'WITHSCORES')
  end
  for i = 1, #blocks, 2 do
    local other, by = string.match(redis.call('HGET', versions, blocks[i]), '^(%d+) (.*)$')
    if by ~= reader or tonumber(other) > known then
      answer[#answer + 1] = tonumber(blocks[i])
      answer[#answer + 1] = redis.call('HGET', data, blocks[i])
    end
  end
  if under_way then redis.pcall('HSET', versions, 'e:' .. reader, answer[2]) end
  return answer
end

local answers = {}
for i = 1, #KEYS / 3 do
  answers[i] = look(KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i],
                    ARGV[3 * i], tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]))
end
return answers
