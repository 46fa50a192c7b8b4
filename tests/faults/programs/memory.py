"""Shared memory of three kinds, of which each process fills its part."""

import os
from multiprocessing import shared_memory

import seen

PART = 500


def fill(who, array, raw, name):
    values = [who + 1] * PART
    array[who * PART : (who + 1) * PART] = values
    raw[who * PART : (who + 1) * PART] = values
    block = shared_memory.SharedMemory(name)
    block.buf[who * PART : (who + 1) * PART] = bytes(values)
    block.close()


def parts(values):
    """What each part is full of; None: of several things."""
    found = [set(values[who * PART : (who + 1) * PART]) for who in range(3)]
    return [one.pop() if len(one) == 1 else None for one in found]


def body(context):
    array, raw = context.Array("i", 3 * PART, lock=False), context.RawArray("i", 3 * PART)
    block = shared_memory.SharedMemory("faults" + os.environ["TMP_TEST_MARK"], create=True, size=3 * PART)
    fillers = [context.Process(target=fill, args=(who, array, raw, block.name)) for who in range(3)]
    for process in fillers:
        process.start()
    for process in fillers:
        process.join()
    found = [parts(array[:]), parts(raw[:]), parts(bytes(block.buf)[: 3 * PART])]
    block.close()
    block.unlink()
    return {"parts": found, "codes": [process.exitcode for process in fillers]}


if __name__ == "__main__":
    seen.told(body)
