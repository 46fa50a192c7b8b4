"""How the program of a process comes to be on a worker: `__main__`, modules, the process object.

Under `fork` from the image of the client's `__main__`, under `spawn` and `forkserver` by importing
the main module again. Modules the worker lacks come from the client, on demand.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sys
from multiprocessing import process, util
from typing import Any

from transparent_mp import shadows
from transparent_mp.primitives import settings, spawn
from transparent_mp.primitives.main_module import restore
from transparent_mp.ship.requests import ask
from transparent_mp.ship.served import sees_the_same
from transparent_mp.store.session import Session
from transparent_mp.worker.code import Code
from transparent_mp.worker.importer import ClientFinder, OwnFinder
from transparent_mp.worker.shelf import Shelf


class ClientSources:
    """What an image leaves out, from the client and the worker's shelf."""

    def __init__(self, session: Session, shelf: Shelf) -> None:
        self._session = session
        self._shelf = shelf

    def content(self, digest: str, snapshot: str = "") -> Any:
        def have_it_stored() -> None:
            self._kept({"snapshot": snapshot, "digest": digest})

        return self._shelf.content(self._session, digest, have_it_stored if snapshot else None)

    def late_global(self, name: str) -> bytes:
        return ask(self._session, "global", {"name": name})[1]

    def kept(self, snapshot: str, module: str, name: str) -> tuple[Any, ...]:
        fields = self._kept({"snapshot": snapshot, "module": module, "name": name})
        entry: tuple[Any, ...] = pickle.loads(fields)
        return entry

    def _kept(self, request: dict[str, str]) -> bytes:
        head, found = ask(self._session, "kept", request)
        if "gone" in head:
            raise LookupError(head["gone"])
        return found

    def source(self, file: str) -> str | None:
        head, text = self.ask("source", {"file": file})
        return text.decode("utf-8", "replace") if head.get("found") else None

    def script(self, file: str) -> bytes | None:
        """What is in the client's main script."""
        head, content = self.ask("script", {"file": file})
        return content if head.get("found") else None

    def ask(self, kind: str, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        return ask(self._session, "module", {**request, "kind": kind})


class Program:
    """What a process runs, all but the process object: `__main__` and modules are there when this is made."""

    def __init__(
        self, session: Session, shelf: Shelf, around: dict[str, Any], method: str, prepared: bytes
    ) -> None:
        shadows.step_aside(around["hidden"])
        sources = ClientSources(session, shelf)
        code = Code(session, sources.ask, shelf.pantry, around["code"])
        finder = ClientFinder(code.ask, code.refresh, shelf.pantry, around["added"])
        sys.meta_path.append(finder)
        sys.path_hooks.append(finder.folder)
        own = {*around["own"], *around["hidden"]}
        if own and not sees_the_same(around["served"]):
            sys.meta_path.insert(0, OwnFinder(finder, own))
        self._settings: dict[str, bytes] = {}
        self._own_settings: list[settings.Own] = []
        with _Inheriting():
            data = pickle.loads(prepared)
            if method == "fork":
                _inherit(data)
                restore(data["image"], sources)
                self._settings = data["settings"]
                self._referred: list[str] = data["referred"]
            else:
                spawn.prepare(data, script=sources.script)

    def make_ready(self) -> None:
        """In who is copied for several: import what the process object refers to, as far as possible, and set
        what they inherit.
        """
        with _Inheriting():
            for name in self._referred:
                with contextlib.suppress(Exception):
                    # Whoever unpickles it meets the same.
                    importlib.import_module(name)
            self._set_common()

    def _set_common(self) -> None:
        values, self._settings = self._settings, {}
        if values:
            self._own_settings = settings.apply_common(values)

    def process(self, obj: memoryview) -> Any:
        """The process object, in an interpreter that is ready to run it."""
        with _Inheriting():
            self._set_common()
            settings.apply_own(self._own_settings)
            return pickle.loads(obj)


class _Inheriting:
    # By this the standard library tells a program that starts processes while it is being imported, and
    # managers' proxies that what is inherited is counted by the parent.

    def __enter__(self) -> None:
        current: Any = process.current_process()
        current._inheriting = True
        self._current = current

    def __exit__(self, *_exc: object) -> None:
        current: Any = self._current
        del current._inheriting


def _inherit(data: dict[str, Any]) -> None:
    """What a forked child has because its parent had it."""
    process.current_process().authkey = data["authkey"]
    if data["log_to_stderr"]:
        util.log_to_stderr()
    if data["log_level"] is not None:
        util.get_logger().setLevel(data["log_level"])
