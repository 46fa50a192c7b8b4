"""Starting a process on a worker: what takes the place of multiprocessing's three Popen classes.

CPython's Process asks its context for a Popen and then uses `pid`, `sentinel`, `poll`, `wait`,
`terminate`, `kill`, `close`. Ours differ in `_launch` (pickle, submit) and in where the exit code
comes from (an event in this process's inbox, which makes the sentinel readable).

    fork                 pickled by value: lambdas, closures, `__main__` and its globals travel
    spawn, forkserver    pickled by the standard library's own rules, `__main__` imported again

Unlike the standard library, under `fork` what the program has registered by util.register_after_fork for
an object is not called in the process that gets it: the object was unpickled there, and may see to it then.

A manager's server is the one process that stays a real local child: it lives as long as its
manager, it only waits, and proxies reach it through the store from everywhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import select
import signal
import sys
from collections.abc import Mapping
from functools import partial
from multiprocessing import context, popen_fork, process, reduction, util
from typing import Any

from transparent_mp import background, shadows
from transparent_mp.errors import StoreError
from transparent_mp.hidden import ADDRESSES, Hiding, without_addresses
from transparent_mp.originals import original
from transparent_mp.primitives import (
    ahead,
    beside,
    homes,
    leaving,
    listener,
    memory,
    overlay,
    pids,
    role,
    settings,
    spawn,
    starter,
)
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.descriptors import refusal
from transparent_mp.primitives.main_module import capture
from transparent_mp.primitives.snapshot import Snapshot
from transparent_mp.ship import contents
from transparent_mp.ship.frames import encode, pair
from transparent_mp.store.content import pack
from transparent_mp.store.session import Session, new_id

#: Seconds for which somebody who cannot signal a process waits for its end, as in the standard library.
_ENDING = 0.1

# typeshed knows the public names only; ours stand on the others.
_util: Any = util
_context: Any = context
_StockPopen: Any = popen_fork.Popen


class _Environ:
    """What was in the environment when a process was last started, and how that reads."""

    raw: dict[Any, Any] = {}
    decoded: dict[str, str] = {}


class RemotePopen(_StockPopen):  # type: ignore[misc]
    """A process on a worker, seen from its parent."""

    returncode: int | None

    def __init__(self, process_obj: Any) -> None:
        #: Holder id of the process being started: what its pickle hands over is held under it.
        self.uid = new_id()
        self._contents: Mapping[str, Any] = {}
        #: Modules that what was pickled refers to, as far as known.
        self._referred: set[str] = set()
        self._snapshot: Snapshot | None = None
        super().__init__(process_obj)

    #: Looked up before `duplicate_for_child` is called.
    DupFd = int

    def duplicate_for_child(self, fd: int) -> int:
        raise refusal(fd)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            if flag != os.WNOHANG:
                self._child.ended.wait()
            code = self._child.code
            if code is not None:
                # Seeing the end is an acquire: what the process wrote to shared memory is here now.
                memory.synchronise()
            self.returncode = code
        return self.returncode

    @property
    def worker(self) -> str:
        """On which worker it has ended, '' if on none."""
        return self._child.worker

    def _send_signal(self, sig: int) -> None:
        if self.poll() is not None:
            return
        try:
            starter.current().signal(self.pid, sig)
        except StoreError:
            # Where the store is gone its processes end by themselves, which is known a moment later.
            if not self._child.ended.wait(_ENDING):
                raise

    def _launch(self, process_obj: Any) -> None:
        session = sessions.current()
        listener.enter_all(session)
        homes.enter_all(session)
        _context.set_spawning_popen(self)
        try:
            environ = role.without_its_own(self._environ(process_obj))
            around = {
                **_surroundings(self.method),
                "environ": without_addresses(environ),
                "code": _current_code(),
            }
            around["addresses"] = [name for name in ADDRESSES if name in environ]
            around.update(_files(starter.current(), around["cwd"], self.method))
            prepared, pickled = self._pickled(process_obj)
            common = pickle.dumps((around, self.method, prepared), 5)
            body = pair(common, pickled)
        except BaseException:
            # What was pickled by then is held for a process that will not be.
            _forget(session, self.uid)
            self._release()
            raise
        finally:
            _context.set_spawning_popen(None)
        first, message = pack(session, "process:" + self.uid, body, name=self.uid)
        self._child = child = starter.Child(process_obj.name, self._release)
        self.sentinel = child.sentinel
        self.finalizer = util.Finalize(self, _util.close_fds, (child.sentinel,))
        starting = starter.current()
        before = contents.put(session, self._contents, starting.stored)
        # Its buffers are the program's own, and are sent by now or never.
        with memory.sending():
            like = ahead.likeness(common) if self.method == "fork" else ""
            word = ahead.word(session, self.uid, self._referred | ahead.on_stack(), environ, like)
            starting.start(child, self.uid, (*memory.publish(), *before, *first), word + message)
        self._contents, self._referred = {}, set()
        self.pid = child.pid

    def _release(self) -> None:
        """The process has ended, or never began: nobody asks for what was kept for it."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.release()

    def _environ(self, _process_obj: Any) -> dict[str, str]:
        # Each variable is decoded whenever it is looked at.
        raw = getattr(os.environ, "_data", None)
        if raw is None or raw != _Environ.raw:
            _Environ.raw, _Environ.decoded = dict(raw or {}), dict(os.environ)
        return dict(_Environ.decoded)

    def _pickled(self, process_obj: Any) -> tuple[bytes, bytes]:
        """Preparation data and process object."""
        raise NotImplementedError


class _ByValue(RemotePopen):
    method = "fork"

    def _pickled(self, process_obj: Any) -> tuple[bytes, bytes]:
        pickled = io.BytesIO()
        pickler = leaving.dump(process_obj, pickled)
        set_here = settings.capture()
        captured = capture(
            pickler.names | set_here.names,
            pickler.mentioned | set_here.mentioned,
            self._keep if starter.current().snapshots else None,
        )
        self._contents = captured.externals
        self._referred = pickler.modules | captured.modules
        current = process.current_process()
        prepared = {
            "image": captured.image,
            "settings": set_here.values,
            "authkey": bytes(current.authkey),
            "log_to_stderr": _util._log_to_stderr,
            "log_level": util.get_logger().getEffectiveLevel() if _util._logger is not None else None,
            "start_method": _context._default_context.get_start_method(allow_none=True),
            # What the object's pickle refers to, which a template has ready.
            "referred": sorted(pickler.modules),
        }
        return pickle.dumps(prepared, 5), pickled.getvalue()

    def _keep(self) -> str:
        snapshots = starter.current().snapshots
        assert snapshots is not None
        self._snapshot = snapshots.take()
        return self._snapshot.name


class _ByImport(RemotePopen):
    def _pickled(self, process_obj: Any) -> tuple[bytes, bytes]:
        preparation = spawn.get_preparation_data(process_obj.name)
        self._referred = {str(getattr(process_obj._target, "__module__", None)), type(process_obj).__module__}
        if any(key.startswith("init_main") for key in preparation):
            self._referred |= ahead.named_in("__main__")
        prepared = reduction.ForkingPickler.dumps(preparation)
        return bytes(prepared), bytes(reduction.ForkingPickler.dumps(process_obj))


class _Spawned(_ByImport):
    method = "spawn"


class _ForkServed(_ByImport):
    method = "forkserver"


METHODS = {popen.method: popen for popen in (_ByValue, _Spawned, _ForkServed)}


def start_beside(local: Any, process_obj: Any) -> Any:
    """Start a manager's server as the standard library does.

    Proxies on workers will look for it in the session, so there must be one, and it must join it; what
    it starts itself, it starts through this process's fleet.
    """
    starting = starter.current()
    session, uid = sessions.current(), new_id()
    homes.enter_all(session)
    if pids.ancestor() is not None:
        # A worker has no file of the main module for a fresh interpreter to run.
        local = original("multiprocessing.context", "ForkProcess._Popen").__func__
    target = process_obj._target
    process_obj._target = partial(beside.run, beside.defining(process_obj), target)
    try:
        with sessions.naming_child(uid), spawn.passing_on(Hiding(session.ticket(), uid=uid)):
            popen = local(process_obj)
    finally:
        process_obj._target = target
    background.start(_forget_when_gone, session, uid, os.dup(popen.sentinel))
    starting.witness(process_obj.name, "beside", session.machine)
    return popen


def _forget_when_gone(session: Session, uid: str, sentinel: int) -> None:
    """No supervisor sees that process end, so its holds end here."""
    end = select.poll()
    end.register(sentinel)
    end.poll()
    os.close(sentinel)
    _forget(session, uid)


def _forget(session: Session, uid: str) -> None:
    """End what a holder holds."""
    parts = session.keys.base, session.keys.any_object, uid, session.ttl
    # A session that has ended meanwhile holds nothing any more.
    with contextlib.suppress(StoreError):
        session.store.cast(session.script("forget", ("objects", "keys"), parts))


def _surroundings(method: str) -> dict[str, Any]:
    """What a local child would find around it."""
    try:
        cwd = os.getcwd()
    except OSError:
        # The directory was removed; a local child would stand in nothing as well.
        cwd = ""
    return {
        "cwd": cwd,
        "umask": _umask(),
        "argv": list(getattr(sys, "argv", [])),
        "path": list(sys.path),
        "added": _added(),
        "parent": pids.getpid(),
        "cpus": pids.cpu_count() or 1,
        "ancestor": pids.ancestor() or (os.getpid(), sessions.current().uid),
        "streams": [_stream_like(stream, method) for stream in (sys.__stdout__, sys.__stderr__)],
        "ignored": settings.ignored_signals(),
        "warnings": list(sys.warnoptions),
        "own": [name for name in overlay.own_names() if "." not in name],
        "hidden": _hidden(),
    }


def _added() -> list[str]:
    """What is on the path here, on a worker, and not at the client."""
    finders = sys.path_importer_cache
    return [path for path in sys.path if getattr(finders.get(path), "added", False)]


def _hidden() -> list[str]:
    """Names by which the program's directories hide modules of the standard library."""
    if pids.ancestor() is None:
        # The program may have added a directory. Over there it would be looked into far away.
        shadows.step_aside()
    return sorted(shadows.names())


def _files(starting: starter.Starter, cwd: str, method: str) -> dict[str, Any]:
    """What it finds of the client's files."""
    if starting.served is not None:
        starting.served.standing_in(cwd)
    # A forked child has what its parent has found out, a fresh interpreter finds it out by itself.
    temporary = sys.modules.get("tempfile") if method == "fork" else None
    return {"served": starting.session.served, "tempdir": getattr(temporary, "tempdir", None)}


def _umask() -> int:
    # The kernel tells it only to who sets it, and this process's threads make files meanwhile.
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1], 8) for line in file if line.startswith("Umask:"))
    except (OSError, StopIteration):
        mask = os.umask(0o077)
        os.umask(mask)
        return mask


def _current_code() -> dict[str, str] | None:
    """What of the client's code is still as it was served; only the client knows."""
    batches = starter.current().batches
    return None if batches is None else batches.current()


def _stream_like(stream: Any, method: str) -> dict[str, Any]:
    """How a process's stream is to be opened; the program may have none, or one of its own."""
    found = {"line_buffering": False}
    try:
        found["line_buffering"] = stream.isatty()
    except (AttributeError, ValueError):
        return found
    for name in ("encoding", "errors", "line_buffering", "write_through"):
        value = getattr(stream, name, None)
        if value:
            found[name] = value
    if method == "fork":
        found["unbuffered"] = isinstance(getattr(stream, "buffer", None), io.RawIOBase)
    else:
        # A fresh interpreter is not told of -u.
        found["unbuffered"] = found["write_through"] = bool(os.environ.get("PYTHONUNBUFFERED"))
        found["line_buffering"] = stream.isatty() and not found["unbuffered"]
    return found


def signal_process(pid: int, sig: int) -> bool:
    """Signal any process of the session by its id; False when there is none."""
    _check_signal(sig)
    return sessions.attached() is not None and starter.current().signal(pid, sig)


def signal_ancestor(uid: str, sig: int) -> None:
    """Signal the process that is on no worker and from which this one stems."""
    _check_signal(sig)
    if sig:
        session = sessions.current()
        session.store.cast(*session.push_event(uid, encode({"kind": "signal", "signal": int(sig)})))


def _check_signal(sig: int) -> None:
    if not 0 <= sig < signal.NSIG:
        raise OSError(22, "Invalid argument")
