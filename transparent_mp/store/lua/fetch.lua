-- A process fetches what others changed in a segment.
-- KEYS: 1 data  2 version  3 blocks
-- ARGV: 1 object id  2 reader, "" to be given its own changes too  3 version that it has seen
--       4 blocks after which the answer may stop short, 0 for a segment of one block
-- RETURNS: {object id, version that the answer reaches, version now, number of the reader's last
--          part that was applied, block, bytes, block, bytes, ...}; bytes lack trailing zeros.
-- INVARIANT: whoever applies an answer that reaches the version now has seen every change. One that
--            stops short is gone on with from the version that it reached, as reader "": a block in
--            it may since have moved behind a later change of the reader's own.
local reader, known, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local meta = redis.call('HMGET', KEYS[2], 'n', 'w', 'f', 's:' .. reader)
local now = tonumber(meta[1] or '0')
local answer = {ARGV[1], now, now, tonumber(meta[4] or '0')}
if (meta[2] == reader and tonumber(meta[3]) or now) <= known then return answer end
if most == 0 then
  answer[5], answer[6] = 0, redis.call('HGET', KEYS[1], 0)
  return answer
end
local blocks = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
if #blocks == 2 * most then
  -- All of the last version that is begun, and nothing later.
  answer[2] = tonumber(blocks[#blocks])
  blocks = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. known, blocks[#blocks], 'WITHSCORES')
end
for i = 1, #blocks, 2 do
  local other, by = string.match(redis.call('HGET', KEYS[2], blocks[i]), '^(%d+) (.*)$')
  if by ~= reader or tonumber(other) > known then
    answer[#answer + 1] = tonumber(blocks[i])
    answer[#answer + 1] = redis.call('HGET', KEYS[1], blocks[i])
  end
end
return answer
