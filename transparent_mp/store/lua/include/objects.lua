-- What happens when a side of an object has lost its last holder: readers of the other side are told,
-- and an object without holders has no keys.
local function end_side(object, oid, side, ttl, objects)
  local other = side == '0' and '1' or '0'
  redis.call('DEL', object .. 'q' .. side)
  if redis.call('EXISTS', object .. 'h' .. other) == 1 then
    redis.call('RPUSH', object .. 'q' .. other, '')
    redis.call('PEXPIRE', object .. 'q' .. other, ttl)
  else
    redis.call('DEL', object .. 'q' .. other)
    -- A segment may be large.
    redis.call('UNLINK', object .. 'd', object .. 'v', object .. 'g')
    redis.call('SREM', objects, oid)
  end
end

-- Lets go of everything that a holder holds.
local function drop_holds(base, any_object, uid, ttl, objects, keys)
  local holds = base .. 'holds:' .. uid
  for _, hold in ipairs(redis.call('SMEMBERS', holds)) do
    local oid, side = string.match(hold, '^(%S+) (%S+)$')
    local object = any_object .. oid .. '}:'
    redis.call('SREM', object .. 'h' .. side, uid)
    if redis.call('EXISTS', object .. 'h' .. side) == 0 then end_side(object, oid, side, ttl, objects) end
  end
  redis.call('DEL', holds)
  redis.call('SREM', keys, holds)
end
