-- The bytes of a block as several writers leave them.
local function splice(old, at, bytes)
  if #old < at then old = old .. string.rep('\0', at - #old) end
  return string.sub(old, 1, at) .. bytes .. string.sub(old, at + #bytes + 1)
end

local function blend(old, mask, new)
  if #old < #new then old = old .. string.rep('\0', #new - #old) end
  local out = {}
  for i = 1, #mask do
    local bits, first = string.byte(mask, i), i * 8 - 7
    if bits == 255 then
      out[#out + 1] = string.sub(new, first, first + 7)
    elseif bits == 0 then
      out[#out + 1] = string.sub(old, first, first + 7)
    else
      for at = first, math.min(first + 7, #new) do
        local from = bit.band(bits, bit.rshift(128, at - first)) ~= 0 and new or old
        out[#out + 1] = string.sub(from, at, at)
      end
    end
  end
  return table.concat(out)
end
