"""What opens files by their paths in C or in another program: what is put in the place of its names.

The work is done by `databases` and `commands`, which are imported when it is first to be done: their own
imports may be what brings these modules in.
"""

from __future__ import annotations

from typing import Any, Callable


def dlopen(instead: Any) -> Any:
    """ctypes' own, which loads a library of the client from a copy."""

    def dlopen(name: Any, *args: Any) -> Any:
        from transparent_mp.worker.files import databases

        return databases.load_library(instead, name, *args)

    return dlopen


def connect(instead: Any) -> Any:
    """sqlite3.connect, for a database of the client."""

    def connect(database: Any, *args: Any, **kw: Any) -> Any:
        from transparent_mp.worker.files import databases

        return databases.connect(instead, database, *args, **kw)

    return connect


def execute_child(instead: Callable[..., None]) -> Callable[..., None]:
    """subprocess.Popen._execute_child, for a command that may be told of the client's files."""

    def _execute_child(self: Any, *args: Any, **kw: Any) -> None:
        from transparent_mp.worker.files import commands

        self._mirror = commands.begun(instead, self, *args, **kw)

    return _execute_child


def handle_exitstatus(instead: Callable[..., None]) -> Callable[..., None]:
    """subprocess.Popen._handle_exitstatus."""

    def _handle_exitstatus(self: Any, *args: Any, **kw: Any) -> None:
        instead(self, *args, **kw)
        if self.returncode is not None:
            _end_mirror(self)

    return _handle_exitstatus


def process_exited(instead: Callable[..., None]) -> Callable[..., None]:
    """asyncio's BaseSubprocessTransport._process_exited: it waits for the command by itself."""

    def _process_exited(self: Any, returncode: int) -> None:
        _end_mirror(self._proc)
        instead(self, returncode)

    return _process_exited


def _end_mirror(process: Any) -> None:
    mirror = process.__dict__.pop("_mirror", None)
    if mirror is not None:
        mirror.end()


def system(instead: Callable[[Any], int]) -> Callable[[Any], int]:
    """os.system, as subprocess.Popen."""

    def system(command: Any) -> int:
        from transparent_mp.worker.files import commands

        return commands.system(instead, command)

    return system
