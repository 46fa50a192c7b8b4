"""The semaphore under every lock, semaphore, condition, event and barrier: `_multiprocessing.SemLock`.

CPython's synchronize.py runs on top of it unchanged.

    LOCAL    a counter under a mutex of this process; costs what a mutex costs
    SHARED   tokens in a list of the store: acquire is one blocking pop, release one push that
             nobody waits for. LOCAL -> SHARED when it is first pickled; threads that wait locally
             go on waiting in the store.

As in the standard library, a token taken by a process that dies is not given back; who waits for such a lock
is told (`held`).

Unlike the standard library, a semaphore that was not shared through multiprocessing is not shared
with children of a plain os.fork either, and a shared one counts at most MOST_TOKENS.
"""

from __future__ import annotations

import functools
import threading
import time
import weakref
from multiprocessing import context
from typing import Any

from transparent_mp.errors import StoreError
from transparent_mp.primitives import forked, held, memory, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.riding import Segments
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.pops import Looks
from transparent_mp.store.scripts import script

RECURSIVE_MUTEX, SEMAPHORE = 0, 1

#: Greatest value, as on Linux.
SEM_VALUE_MAX = 2**31 - 1
#: Tokens that a shared semaphore starts with at most: 2 to 3 bytes each in the store. A semaphore
#: of a greater value is in practice one that never blocks.
MOST_TOKENS = 2**17
#: Tokens pushed by one command.
TOKENS_A_PUSH = 4096

_ident = threading.get_ident


class SemLock:
    """A counting semaphore or recursive mutex with the interface of `_multiprocessing.SemLock`."""

    SEM_VALUE_MAX = SEM_VALUE_MAX

    def __init__(self, kind: int, value: int, maxvalue: int, name: str = "", unlink: bool = True) -> None:
        if kind not in (RECURSIVE_MUTEX, SEMAPHORE):
            raise ValueError("unrecognized kind")
        if not 0 <= value <= maxvalue:
            raise OSError(22, "Invalid argument")
        self.kind = kind
        self.maxvalue = maxvalue
        if not unlink and name:
            _names[name] = self
        # CPython registers a name with its resource tracker; there is nothing to clean up here.
        self.name: str | None = None
        self.handle = id(self)
        self._value = value
        self._changed = threading.Condition(threading.Lock())
        # How often this process has acquired it and not released it, and by which thread last.
        self._acquired = 0
        self._owner = 0
        self._hold: sharing.Hold | None = None
        # Whether one at a time has it: who dies with it is told. Others are taken by who never gives back.
        self._locks = maxvalue == 1
        self._noted = -1
        #: Segments that are read and written by holders of this lock only.
        self.riders: Segments = ()

    @classmethod
    def _rebuild(cls, handle: str, kind: int, maxvalue: int, _name: str | None) -> SemLock:
        oid, _, token = handle.partition(" ")
        hold = sharing.take(sessions.current(), oid, 0, token)
        with _known.lock:
            self = _known.semlocks.get((hold.holder, oid))
            if self is None:
                self = cls(kind, 0, maxvalue)
                self._become_shared(hold)
            return self

    def share(self) -> str:
        """Move to the store if it is not there yet; returns "OID TOKEN" for a pickle under way."""
        session = sessions.current()
        with self._changed:
            if self._hold is None:
                (hold,) = sharing.create(session)
                self._push_tokens(session, hold, min(self._value, MOST_TOKENS))
                self._become_shared(hold)
                self._changed.notify_all()
        assert self._hold is not None
        receiver = getattr(context.get_spawning_popen(), "uid", None)
        return f"{self._hold.oid} {sharing.hand_over(session, self._hold, receiver)}"

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        if self._acquired > 0 and self.kind == RECURSIVE_MUTEX and self._owner == _ident():
            self._acquired += 1
            return True
        if not block:
            timeout = 0.0
        if self._hold is None:
            with self._changed:
                if self._value == 0 and self._hold is None:
                    if timeout is not None:
                        deadline = time.monotonic() + timeout
                    ready = timeout is None or timeout > 0
                    if not ready or not self._await_open(timeout):
                        return False
                    if timeout is not None:
                        timeout = deadline - time.monotonic()
                if self._hold is None:
                    self._value -= 1
                    self._acquired += 1
                    self._owner = _ident()
                    return True
        return self._acquire_shared(timeout)

    def release(self) -> None:
        if self.kind == RECURSIVE_MUTEX:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._acquired > 1:
                self._acquired -= 1
                return
        if self._hold is None:
            with self._changed:
                if self._hold is None:
                    if self._value >= self.maxvalue:
                        raise ValueError("semaphore or lock released too many times")
                    self._value += 1
                    self._let_go()
                    self._changed.notify()
                    return
        self._release_shared()

    def give(self, given: list[bool] | None = None) -> None:
        """Release what another process is known to have acquired. `given`: as Store.cast."""
        if self._hold is None:
            self.release()
        else:
            self._give(ours=False, given=[] if given is None else given)

    def _give(self, given: list[bool], *, ours: bool) -> None:
        """Send a release, whatever a signal's handler raises meanwhile. `ours`: we have acquired it."""
        acquired = self._acquired
        try:
            if ours:
                self._let_go()
            memory.cast(self._giving, riders=self.riders, given=given)
        except StoreError:
            raise
        except BaseException:
            # Whoever has left a block of it has let go of it.
            if ours and self._acquired == acquired:
                self._let_go()
            if not given:
                memory.cast(self._giving, riders=self.riders, given=given)
            raise

    __enter__ = acquire

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def held(self) -> bool:
        """Whether a thread of this process has acquired it and nobody released it."""
        return self._acquired > 0

    def _count(self) -> int:
        return self._acquired

    def _is_mine(self) -> bool:
        return self._acquired > 0 and self._owner == _ident()

    def _get_value(self) -> int:
        return int(sessions.current().store.ask("LLEN", self.tokens)) if self._hold else self._value

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        self._acquired = 0
        self._owner = 0
        self._noted = -1

    def _await_open(self, timeout: float | None) -> bool:
        try:
            return self._changed.wait_for(self._open, timeout)
        except BaseException:
            # Interrupted: it may have been this thread that was told of the release.
            self._changed.notify()
            raise

    def _open(self) -> bool:
        return self._value > 0 or self._hold is not None

    def _become_shared(self, hold: sharing.Hold) -> None:
        session = sessions.current()
        self._holders, self.tokens, self._state = (
            session.keys.object(hold.oid, at) for at in ("h0", "q0", "v")
        )
        self._oid = hold.oid
        most = min(self.maxvalue, MOST_TOKENS) if self.maxvalue < SEM_VALUE_MAX else SEM_VALUE_MAX
        keys = (self._holders, self.tokens, self._state) if self._locks else (self._holders, self.tokens)
        # What gives a token back.
        self._giving: Command = script("release", keys, (str(most), str(session.ttl)))
        self._looks: Looks = functools.partial(held.look, session, hold.oid) if self._locks else None
        if self._acquired and self._locks:
            self._noted = held.note(hold.oid)
        _known.semlocks[hold.holder, hold.oid] = self
        self._hold = hold

    def _push_tokens(self, session: Any, hold: sharing.Hold, count: int) -> None:
        tokens = session.keys.object(hold.oid, "q0")
        for at in range(0, count, TOKENS_A_PUSH):
            session.store.cast(("RPUSH", tokens, *("1",) * min(TOKENS_A_PUSH, count - at)))
        if count:
            session.store.cast(("PEXPIRE", tokens, session.ttl))

    def _acquire_shared(self, timeout: float | None) -> bool:
        store = sessions.current().store
        fetch = memory.fetch(self.riders)
        ident, counted = _ident(), False
        found: list[Reply] = []
        try:
            if timeout is not None and timeout <= 0:
                store.take(self.tokens, fetch, found)
            else:
                store.pop(self.tokens, timeout, fetch, self._looks, found)
            token, *replies = found
            memory.merge(replies)
            if token is None:
                return False
            if self._locks:
                self._noted = held.note(self._oid)
            self._owner = ident
            self._acquired += 1
            counted = True
        except BaseException:
            # A signal handler's, when it was taken already.
            self._acquired -= counted
            store.restore(self.tokens, found)
            raise
        return True

    def _release_shared(self) -> None:
        # Whoever has acquired it may release it, so the answer is known; else it must be asked for.
        if self._acquired > 0 or self.maxvalue >= SEM_VALUE_MAX:
            self._give([], ours=True)
            return
        if memory.call(self._giving, riders=self.riders)[-1] == 0:
            raise ValueError("semaphore or lock released too many times")
        self._let_go()

    def _let_go(self) -> None:
        self._acquired -= 1
        if self.kind == RECURSIVE_MUTEX:
            self._owner = 0
        noted, self._noted = self._noted, -1
        if noted >= 0:
            held.forget(noted)


class _Known:
    """Which shared semaphores this process has: the same object each time, as a fork would have it."""

    def __init__(self) -> None:
        #: By holder too: what came along with a fork is the parent's.
        self.semlocks: weakref.WeakValueDictionary[tuple[str, str], SemLock] = weakref.WeakValueDictionary()
        self.lock = threading.RLock()

    def after_fork_in_child(self) -> None:
        # Another thread of the parent may have held it.
        self.lock = threading.RLock()


_known = _Known()
forked.in_child(_known.after_fork_in_child)


def sem_unlink(name: str) -> None:
    """Unlike the standard library's, forgets a name: a semaphore lives exactly as long as it is held."""
    if _names.pop(name, None) is None:
        raise FileNotFoundError(2, "No such file or directory")


#: Semaphores that were made to be unlinked later.
_names: weakref.WeakValueDictionary[str, SemLock] = weakref.WeakValueDictionary()


def getstate(self: Any) -> tuple[str, int, int, str | None]:
    """`SemLock.__getstate__` of multiprocessing.synchronize.

    Unlike the standard library's, it lets a lock of a fork context be pickled for a process that is
    started by fork, which here is how it travels.
    """
    check_context(self)
    semlock = self._semlock
    return semlock.share(), semlock.kind, semlock.maxvalue, None


def check_context(lock: Any) -> None:
    """Raise RuntimeError, as the standard library does, unless `lock` may go to the process being started."""
    context.assert_spawning(lock)
    if getattr(lock, "_is_fork_ctx", False) and getattr(context.get_spawning_popen(), "method", "") != "fork":
        raise RuntimeError(
            "A SemLock created in a fork context is being shared with a process in a spawn context. This is "
            "not supported. Please use the same context to create multiprocessing objects and Process."
        )
