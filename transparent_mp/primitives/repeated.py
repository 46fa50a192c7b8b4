"""Large pieces that come with many tasks of a pool: the store has them by digest, each worker once.

    first     goes with its task, as everything does
    again     is stored by its digest; that task and those after it only name it
    fetched   by the first task of a worker that names it, to where its others find it (worker/shelf.py)
    dropped   when no task without a result names it, and those used later take more than contents.KEEP

A task gets memory of its own of it: what it writes there, no other task sees.

Only the client names pieces. A pool that a process on a worker has made sends them each time, for nobody
would drop them before the session's end.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from transparent_mp.errors import SessionLostError
from transparent_mp.primitives import starter
from transparent_mp.primitives.pickling import APART
from transparent_mp.ship import contents
from transparent_mp.store.link import Command
from transparent_mp.store.pieces import Payload, Piece, Pieces
from transparent_mp.store.session import Session

#: Digests remembered of what was sent. Larger: 100 bytes each; smaller: a piece is sent again that came with
#: an earlier task.
REMEMBERED = 4096


class Repeated:
    """What the tasks of one pool have in common. Thread-safe."""

    def __init__(self, pool: str) -> None:
        """`pool`: its name in the session."""
        self._pool = pool
        self._lock = threading.Lock()
        self._sent: OrderedDict[bytes, None] = OrderedDict()
        #: Of each task that names some: their digests; of each of these how many tasks name it.
        self._tasks: dict[Any, set[str]] = {}
        self._named: dict[str, int] = {}
        self._kept: contents.Kept | None = None

    def named(self, session: Session, task: Any, content: Pieces) -> tuple[list[Command], Pieces]:
        """The commands to send first, and the content in which what was sent before is only named."""
        snapshots = starter.current().snapshots
        if snapshots is None:
            return [], content
        pieces, again = [], {}
        self._kept = kept = snapshots.kept
        with self._lock:
            for piece in content.pieces:
                if len(piece.buffer) >= APART:
                    piece = piece.digested()
                    if self._was_sent(piece.digest):
                        piece = piece._replace(elsewhere=True)
                        again[piece.digest.hex()] = piece.buffer
                pieces.append(piece)
            if not again:
                return [], Pieces(pieces)
            self._tasks[task] = set(again)
            kept.use(self._user(task), {digest: len(buffer) for digest, buffer in again.items()})
            # What another task names that has no result yet is there; the last of the others may have gone.
            lacking = {
                digest: buffer
                for digest, buffer in again.items()
                if not self._named.get(digest) and not contents.has(session, digest, len(buffer))
            }
            for digest in again:
                self._named[digest] = self._named.get(digest, 0) + 1
        return contents.put(session, lacking, set(), lasting=False), Pieces(pieces)

    def done(self, task: Any) -> None:
        """It has a result, or needs none any more."""
        with self._lock:
            digests = self._tasks.pop(task, None)
            if digests is None:
                return
            for digest in digests:
                self._named[digest] -= 1
                if not self._named[digest]:
                    del self._named[digest]
        if self._kept is not None:
            self._kept.release(self._user(task))

    def close(self) -> None:
        """No task of the pool needs anything any more; for a finaliser, which takes no lock."""
        for task in list(self._tasks):
            if self._kept is not None:
                self._kept.release_soon(self._user(task))

    def _was_sent(self, digest: bytes) -> bool:
        if digest in self._sent:
            self._sent.move_to_end(digest)
            return True
        self._sent[digest] = None
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return False

    def _user(self, task: Any) -> str:
        return f"{self._pool} {task}"


def whole(session: Session, content: Payload) -> Payload:
    """A content with what it only names. Raises SessionLostError when that is gone."""
    if not isinstance(content, Pieces) or not any(piece.elsewhere for piece in content.pieces):
        return content
    return Pieces([_here(session, piece) if piece.elsewhere else piece for piece in content.pieces])


def _here(session: Session, piece: Piece) -> Piece:
    if session.shelf is None:
        raise SessionLostError(
            "a task names what its worker shares among tasks, and this process has no worker"
        )
    found = session.shelf(session, piece.digest.hex())
    return piece._replace(buffer=memoryview(found), elsewhere=False)
