"""The seed of this interpreter's `str` hashes, as far as it can be told.

Processes share out work by `hash(name)`, so workers are to have the client's. An interpreter takes its
seed from PYTHONHASHSEED as it starts; what a program sets there later (many do, beside other seeds) changes
nothing in it. A random seed cannot be told; neither does this say which one workers have then.
"""

from __future__ import annotations

import os

#: On Lambda, of workers and of a client through `python -m transparent_mp`, when none is set: a function's
#: environments are initialised before they know their first session.
LAMBDA_SEED = "1"
_NAME = "PYTHONHASHSEED"


def seed() -> str:
    """'' for a random one."""
    try:
        # The environment that it was started with.
        with open("/proc/self/environ", "rb") as file:
            first = file.read().split(b"\0")
    except OSError:
        said = os.environ.get(_NAME, "")
    else:
        mark = f"{_NAME}=".encode()
        said = next((os.fsdecode(each[len(mark) :]) for each in first if each.startswith(mark)), "")
    return "" if said == "random" else said
