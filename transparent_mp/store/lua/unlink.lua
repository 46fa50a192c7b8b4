-- A named segment loses its name; it goes with its last holder.
-- KEYS: 1 names of segments  2 holds of names  3 objects  4 inbox of the client  5 keys
-- ARGV: 1 name  2 base of object keys  3 ttl ms  4 "client" when it is the client that unlinks, else ""
--       5 base of session keys
-- RETURNS: {"OID SIZE WHERE", holders left}, or nil when there is none of that name.
-- INVARIANT: the client hears of each name that it has a file for, before whoever the unlinker tells.
--@include objects
local name, ttl = ARGV[1], ARGV[3]
local value = redis.call('HGET', KEYS[1], name)
if not value then return value end
local oid, where = string.match(value, '^(%S+) %S+ (%S+)$')
local object = ARGV[2] .. oid .. '}:'
redis.call('HDEL', KEYS[1], name)
redis.call('SREM', KEYS[2], oid .. ' 0')
redis.call('SREM', object .. 'h0', 'names')
local left = redis.call('SCARD', object .. 'h0')
if left == 0 then
  end_side({base = ARGV[5], any_object = ARGV[2], ttl = ttl, objects = KEYS[3], keys = KEYS[5]}, oid, '0')
end
if where ~= 'store' and ARGV[4] ~= 'client' then
  local event = {kind = 'unlinked', name = name, oid = oid, left = left}
  redis.call('RPUSH', KEYS[4], cjson.encode(event) .. '\n')
  redis.call('PEXPIRE', KEYS[4], ttl)
  redis.call('SADD', KEYS[5], KEYS[4])
end
return {value, left}
