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
