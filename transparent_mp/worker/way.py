"""What every process goes through behind its frame, for who has time before it comes.

Memory is shared with who has forked a process until one of them writes to it, and Python writes to what it
uses: it counts references. `tread` uses what the functions on the way use, so that these pages are the
process's own when its frame comes.

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
from transparent_mp.worker import child, programs, running
from transparent_mp.worker.files import state

#: Where they are, and their names; a version of Python may lack some.
_ON_THE_WAY: tuple[tuple[Any, str], ...] = (
    (process.BaseProcess, "_bootstrap _after_fork run"),
    (process, "current_process active_children _cleanup"),
    (context, "_force_start_method"),
    (util, "info debug _close_stdin _run_after_forkers _exit_function _run_finalizers _flush_std_streams"),
    (threading, "_shutdown _maintain_shutdown_locks main_thread"),
    (threading.Thread, "_stop _set_native_id"),
    (session, "begin _enter"),
    (admission.Admission, "__init__"),
    (store.Store, "admit settle"),
    (child, "run _run _leave_files _flush _session"),
    (child.Prepared, "_begin"),
    (child.Copied, "become report"),
    (programs.Program, "process _set_common"),
    (memory, "synchronise leave publish sending"),
    (state, "leave"),
    (running.Running, "leave _silent waiting say"),
    (held.Held, "empty"),
    (untold.Untold, "empty"),
    (telling.Telling, "tell"),
)


def _functions() -> Iterator[types.FunctionType]:
    for place, names in _ON_THE_WAY:
        for name in names.split():
            found = getattr(place, name, None)
            found = getattr(found, "fget", None) or getattr(found, "__func__", found)
            if isinstance(found, types.FunctionType):
                yield found


def tread() -> None:
    """Use what they use."""
    for function in _FUNCTIONS:
        space, code = function.__globals__, function.__code__
        for _ in code.co_consts:
            pass
        for name in code.co_names:
            space.get(name)


_FUNCTIONS = tuple(_functions())
