"""What every process goes through behind its order, for who has time before it comes.

Memory is shared with who has forked a process until one of them writes to it, and Python writes to what it
uses: it counts references. Who looks at what the functions on the way use has these pages for itself when its
order comes. `used` finds out what that is, once, in who is forked: to look for it counts more references than
to run these functions does.

It runs none of them.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Iterator
from multiprocessing import context, process, util
from typing import Any

from transparent_mp.primitives import held, memory, untold
from transparent_mp.store import admission, session, store, telling
from transparent_mp.worker import child, orders, programs, running
from transparent_mp.worker.files import state

#: Where they are, and their names; a version of Python may lack some.
_ON_THE_WAY: tuple[tuple[Any, str], ...] = (
    (process.BaseProcess, "_bootstrap _after_fork run"),
    (process, "current_process active_children _cleanup"),
    (context, "_force_start_method"),
    (util, "info debug _close_stdin _run_after_forkers _exit_function _run_finalizers _flush_std_streams"),
    (threading, "_shutdown _maintain_shutdown_locks main_thread"),
    (threading.Thread, "_stop _set_native_id"),
    (session, "begin"),
    (admission.Admission, "__init__"),
    (store.Store, "inherit settle"),
    (child, "run _begun _run _leave_files _flush"),
    (child.Prepared, "_begin"),
    (child.Copied, "become report"),
    (programs.Program, "process _set_common"),
    (memory, "synchronise leave publish sending"),
    (state, "leave"),
    (running.Running, "leave _silent waiting say"),
    (held.Held, "empty"),
    (untold.Untold, "empty"),
    (telling.Telling, "tell"),
    (telling, "numbered"),
    (orders, "read"),
)


def _functions() -> Iterator[types.FunctionType]:
    for place, names in _ON_THE_WAY:
        for name in names.split():
            found = getattr(place, name, None)
            found = getattr(found, "fget", None) or getattr(found, "__func__", found)
            if isinstance(found, types.FunctionType):
                yield found


def used() -> tuple[Any, ...]:
    """What they use."""
    found: list[Any] = []
    for function in _FUNCTIONS:
        space, code = function.__globals__, function.__code__
        found += (function, code, *(space[name] for name in code.co_names if name in space))
    return tuple(found)


_FUNCTIONS = tuple(_functions())
