-- The bytes of a block as several writers leave them.
local function splice(old, at, bytes)
  if #old < at then old = old .. string.rep('\0', at - #old) end
  return string.sub(old, 1, at) .. bytes .. string.sub(old, at + #bytes + 1)
end

local function blend(old, mask, new)
  if #old < #new then old = old .. string.rep('\0', #new - #old) end
  -- A stretch of one of the two is copied when it ends.
  local out, begun, wrote = {}, 1, false
  local at = string.find(mask, '[^%z]')
  while at and at <= #mask do
    local bits = string.byte(mask, at)
    if bits ~= (wrote and 255 or 0) then
      for place = 8 * at - 7, 8 * at do
        bits = 2 * bits
        local set = bits > 255
        if set then bits = bits - 256 end
        if set ~= wrote then
          out[#out + 1] = string.sub(wrote and new or old, begun, place - 1)
          begun, wrote = place, set
        end
      end
    end
    at = at + 1
    if not wrote then at = string.find(mask, '[^%z]', at) end
  end
  out[#out + 1] = string.sub(wrote and new or old, begun)
  return table.concat(out)
end
