"""The client serves its files: the server, its inbox, and what processes are told of it.

    roots   directories that are the client's
    view    what tells whether a worker sees the same file system, and so needs no server

It knows when processes end, and does not do anything to a file itself.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

from transparent_mp.ship import requests
from transparent_mp.ship.files import TOPIC, FileServer, inbox_of
from transparent_mp.ship.frames import Head, encode
from transparent_mp.ship.inbox import Inbox
from transparent_mp.ship.requests import Answers
from transparent_mp.ship.roots import Roots, of_client, view_of_files
from transparent_mp.store.session import Session


class Served:
    """The client's side; `start` begins to serve."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.roots = Roots(of_client(session.config))
        self._server = FileServer(self.roots)
        self._follows = not session.config.roots
        self._inbox = Inbox(session, inbox_of(session))
        answers = Answers(session, inbox_of(session))
        answers.on_data(TOPIC, self._server.answer)
        self._inbox.on("request", answers.handle)
        self._inbox.on("mark", self._on_mark)
        self._inbox.every_tick(self._forget_ended)
        self._marks: deque[threading.Event] = deque()
        # Of which is on its way that they are gone.
        self._going: set[int] = set()
        self._stopped = False
        session.served.update(roots=self.roots.paths, view=view_of_files())

    def start(self) -> None:
        self._inbox.start()

    def standing_in(self, directory: str) -> None:
        """The program stands there: unless the roots are set, that is one."""
        if self._follows and directory:
            self.roots.add(directory)
            self._session.served["roots"] = self.roots.paths

    def ended(self, pid: int) -> None:
        """Wait until what has arrived before is done: what the process has written is there.

        What it has open is closed, and its locks with it, though its worker may have vanished.
        """
        if not self._server.used or self._stopped:
            return
        done = threading.Event()
        self._marks.append(done)
        mark = encode({"kind": "mark", "pid": pid})
        self._session.store.cast(*self._session.push_event(inbox_of(self._session), mark))
        done.wait(self._session.lease)

    def stop(self) -> None:
        """After what has arrived before."""
        self._stopped = True
        self._inbox.stop()
        while self._marks:
            self._marks.popleft().set()
        self._server.close()

    def _on_mark(self, head: Head, _body: bytes) -> None:
        self._server.forget({head["pid"]})
        if self._marks:
            self._marks.popleft().set()

    def _forget_ended(self) -> None:
        pids = sorted(self._server.pids() - {os.getpid()})
        self._going.intersection_update(pids)
        asked = [pid for pid in pids if pid not in self._going]
        if asked:
            there = self._session.store.call(
                *(("EXISTS", self._session.keys("process", pid)) for pid in asked)
            )
            for pid in (pid for pid, alive in zip(asked, there) if not alive):
                # What it had written may lie in the inbox still.
                self._going.add(pid)
                _tell_gone(self._session, pid)


def forget_files(session: Session, pid: int) -> None:
    """Have what an ended process has open closed, if it asked the server for its files."""
    if session.served.get("roots") and not sees_the_same(session.served):
        _tell_gone(session, pid)


def _tell_gone(session: Session, pid: int) -> None:
    requests.send(session, TOPIC, {"op": "gone", "pid": pid}, of=inbox_of(session))


def sees_the_same(served: dict[str, Any]) -> bool:
    """Whether this machine's files are the client's."""
    view = served.get("view")
    return bool(view) and view == view_of_files()
