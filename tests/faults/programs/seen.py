"""How these programs end: with one line that says what they have seen, and what they hold then.

A module of the program's own, so workers import it from the client.
"""

import gc
import json
import multiprocessing as mp
import os
import sys


def _nothing():
    return None


def _handles():
    """What is open here beside its connections, which are kept for whoever needs one next."""
    open_ = []
    for name in os.listdir("/proc/self/fd"):
        try:
            open_.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            continue
    sockets = sum(where.startswith("socket:") for where in open_)
    return [len(open_) - sockets, sockets]


def told(body):
    """Run the body in a session that is there already, and print what it returns."""
    context = mp.get_context(sys.argv[1])
    first = context.Process(target=_nothing)
    first.start()
    first.join()
    first.close()
    before = _handles()
    facts = body(context)
    gc.collect()
    print(json.dumps({"facts": facts, "handles": [before, _handles()]}))
