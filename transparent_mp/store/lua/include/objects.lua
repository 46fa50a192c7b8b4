-- What happens when a side of an object has lost its last holder: readers of the other side are told,
-- what lies unread is let go of, and an object without holders has no keys.
-- `place`: base of session keys, base of object keys (any_object), ttl, and the keys objects and keys.
local drop_holds

-- Deletes a list that nobody reads any more; what its messages hold for their receivers is dropped, and so are
-- the blobs beside them: TAG (16 bytes), NUMBER (16), KIND, in b the name of a list (16), the blob's name (16).
local function discard(place, oid, list)
  if redis.call('SISMEMBER', place.base .. 'carriers', oid) == 1 then
    for _, message in ipairs(redis.call('LRANGE', list, 0, -1)) do
      for token in string.gmatch(message, 'token%-%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x') do drop_holds(place, token) end
      local blob = string.match(message, '^B(' .. string.rep('%x', 16) .. ')', 33)
        or string.match(message, '^b' .. string.rep('%x', 16) .. '(' .. string.rep('%x', 16) .. ')', 33)
      if blob then
        redis.call('UNLINK', place.base .. 'blob:' .. blob)
        redis.call('SREM', place.keys, place.base .. 'blob:' .. blob)
      end
    end
  end
  redis.call('DEL', list)
end

local function end_side(place, oid, side)
  local object = place.any_object .. oid .. '}:'
  local other = side == '0' and '1' or '0'
  discard(place, oid, object .. 'q' .. side)
  if redis.call('EXISTS', object .. 'h' .. other) == 1 then
    redis.call('RPUSH', object .. 'q' .. other, '')
    redis.call('PEXPIRE', object .. 'q' .. other, place.ttl)
  else
    discard(place, oid, object .. 'q' .. other)
    -- A segment may be large.
    redis.call('UNLINK', object .. 'd', object .. 'v', object .. 'g')
    redis.call('SREM', place.base .. 'carriers', oid)
    redis.call('SREM', place.objects, oid)
  end
end

-- Deletes the lists in which a sender that has ended got its tokens.
local function drop_acks(place, uid)
  local acks = place.base .. 'acks:' .. uid
  for _, name in ipairs(redis.call('SMEMBERS', acks)) do
    redis.call('DEL', place.base .. 'ack:' .. name)
    redis.call('SREM', place.keys, place.base .. 'ack:' .. name)
  end
  redis.call('DEL', acks)
  redis.call('SREM', place.keys, acks)
end

-- Lets go of everything that a holder holds.
drop_holds = function(place, uid)
  drop_acks(place, uid)
  local holds = place.base .. 'holds:' .. uid
  local held = redis.call('SMEMBERS', holds)
  -- First, since an end may lead back here: a pipe's end may lie in that very pipe.
  redis.call('DEL', holds)
  redis.call('SREM', place.keys, holds)
  for _, hold in ipairs(held) do
    local oid, side = string.match(hold, '^(%S+) (%S+)$')
    local holders = place.any_object .. oid .. '}:h' .. side
    redis.call('SREM', holders, uid)
    if redis.call('EXISTS', holders) == 0 then end_side(place, oid, side) end
  end
end
