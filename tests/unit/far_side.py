"""A process on "another machine": a fresh interpreter that has this package and not the program.

`ship` is called by a program under test (its `__main__`), starts that interpreter in a directory where
nothing of the program is, and answers what it asks. Over there `child` restores and runs.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tempfile
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BOOT = "import sys; sys.path += sys.argv[1:3]; import far_side; far_side.child()"


def _write(file: Any, value: Any) -> None:
    data = pickle.dumps(value)
    file.write(struct.pack("<Q", len(data)) + data)
    file.flush()


def _read(file: Any) -> Any:
    (size,) = struct.unpack("<Q", file.read(8))
    return pickle.loads(file.read(size))


def answer(kind: str, request: Any) -> Any:
    from transparent_mp.primitives import main_module
    from transparent_mp.ship import modules

    if kind == "late":
        return main_module.late_global(request)
    return modules.answer({"kind": kind, **request})


def ship(
    target: Any, *args: Any, keep: Any = None, kept: Any = None, parts: Any = None, then: Any = None
) -> Any:
    """Run `target(*args)` over there; its result, and the (kind, request) pairs that it took.

    `keep` fills `kept` and `parts` as a snapshot would; `then` is called when all has been captured.
    """
    import io

    from transparent_mp.primitives import main_module, reduction

    buffer = io.BytesIO()
    pickler = reduction.dump((target, args), buffer)
    image, externals, _ = main_module.capture(pickler.names, pickler.mentioned, keep)
    first = {"image": image, "process": buffer.getvalue()}
    if then is not None:
        then()
    return exchange(first, {**externals, **(parts or {})}, kept)


def exchange(first: dict[str, Any], externals: Any = None, kept: Any = None) -> Any:
    asked: list[Any] = []
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-W", "error", "-c", BOOT, ROOT, HERE]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        far = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=empty, env=environ)
        with far:
            _write(far.stdin, first)
            while True:
                kind, request = _read(far.stdout)
                if kind == "result":
                    break
                asked.append((kind, request))
                if kind == "content":
                    _write(far.stdin, bytes(externals[request]))
                else:
                    _write(far.stdin, kept[request[1:]] if kind == "kept" else answer(kind, request))
    if request[0] == "raised":
        raise RuntimeError(request[1])
    return request[1], asked


def child() -> None:
    import traceback
    from multiprocessing.reduction import ForkingPickler

    out, inp = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)

    def ask(kind: str, request: Any) -> Any:
        _write(out, (kind, request))
        return _read(inp)

    class Sources:
        def content(self, digest: str, snapshot: str = "") -> Any:
            return ask("content", digest)

        def late_global(self, name: str) -> Any:
            return ask("late", name)

        def kept(self, snapshot: str, module: str, name: str) -> Any:
            return ask("kept", (snapshot, module, name))

        def source(self, file: str) -> Any:
            header, body = ask("source", {"file": file})
            return body.decode() if header["found"] else None

    from transparent_mp.primitives import main_module
    from transparent_mp.worker.importer import ClientFinder

    first = _read(inp)
    try:
        finder = ClientFinder(ask)  # type: ignore[arg-type]
        sys.meta_path.append(finder)
        sys.path_hooks.append(finder.folder)
        if "image" in first:
            main_module.restore(first["image"], Sources())
            target, args = pickle.loads(first["process"])
            result = target(*args)
        else:
            space: dict[str, Any] = {"__name__": "far", "sources": Sources()}
            exec(first["code"], space)
            result = space.get("result")
        data = ("returned", bytes(ForkingPickler.dumps(result)))
    except BaseException:
        data = ("raised", traceback.format_exc())
    if data[0] == "returned":
        # The result in its own pickle, so that what goes by reference is looked up at the client only.
        data = ("returned", _Opaque(data[1]))
    with out:
        _write(out, ("result", data))


class _Opaque:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> Any:
        return pickle.loads, (self.data,)
