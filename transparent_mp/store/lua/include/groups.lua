-- Messages that hold several tasks (primitives/groups.py): TAG (16 bytes), NUMBER (16), 'G', FIRST (2), END (2), and
-- what is sealed. FIRST to END says which of the tasks are meant; any other message is a task by itself.

-- Place of the first task that a message stands for, and the place behind the last.
local function range_of(message)
  if string.byte(message, 33) ~= 71 or #message < 37 then return 0, 1 end
  local first, last = struct.unpack('>I2I2', message, 34)
  -- One that stands for none is moved as a task, and refused by who opens it.
  return first, math.max(last, first + 1)
end

-- The same message, for others of its tasks.
local function part_of(message, first, last)
  return string.sub(message, 1, 33) .. struct.pack('>I2I2', first, last) .. string.sub(message, 38)
end
