"""What the client answers when a worker lacks a module: found, read and sent, never run.

Requests and answers are a header (plain values) and a body:

    module  name            -> modules: [{name, kind, origin, is_package, path, size, digest}],
                               complete: [name], platform
    data    module, path    -> found, the file's bytes; path is relative to the module's directory
    list    module, path    -> found, entries: [[name, is_directory]]
    source  file            -> found, the text of a source file in UTF-8
    library module, library -> found, the bytes of a shared library that a compiled module brings along
    script  file            -> found, the main script as it is in its file, or else its text
    folder  path            -> found, modules: [[name, is_package]] in a directory of the program

`kind` is source, bytecode, package forms of these by `is_package`, namespace, extension or missing; the
body is the concatenation of the modules' bytes, in order, `size` each. A package is answered together
with its modules and subpackages up to `BATCH` bytes, a top-level module with its loaded neighbours.
`complete` names packages of which everything there is has been listed (`missing` is then known without
asking). An extension inside a batch is listed without its bytes (`size` None) and asked for by name; with its
bytes come the `libraries` that it brings along, names and digests.

Files are read at each request: nothing is served stale. It does not know how requests travel.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import linecache
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import decode_source
from typing import Any, Callable

from transparent_mp.ship import elf
from transparent_mp.ship.reading import Code

#: Bytes of modules after which a batch ends.
BATCH = 8 << 20
_COUNT = 2000
_PACKAGE = __name__.partition(".")[0]
_MISSING: dict[str, Any] = {"kind": "missing", "origin": None, "is_package": False, "path": None}


def answer(request: dict[str, Any], code: Code | None = None) -> tuple[dict[str, Any], bytes]:
    """Answer one request; one that makes no sense is answered with `error`. `code`: what reads the files."""
    handle = _HANDLERS.get(request.get("kind", ""))
    try:
        if handle is None:
            raise ValueError(f"unknown kind {request.get('kind')!r}: client and worker differ in version")
        return handle(request, code or Code())
    except (OSError, ImportError, SyntaxError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"found": False, "error": f"{type(error).__name__}: {error}"}, b""


def platform_tag() -> dict[str, str]:
    """What must agree for a compiled module to load."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError):
        libc = "unknown"
    return {
        "python": sys.implementation.cache_tag or "",
        "suffix": str(sysconfig.get_config_var("EXT_SUFFIX")),
        "machine": os.uname().machine,
        "libc": libc,
    }


def find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module that may not have been imported; nothing is run for it."""
    module = sys.modules.get(name)
    if module is not None:
        spec: ModuleSpec | None = getattr(module, "__spec__", None)
        return spec
    parent = name.rpartition(".")[0]
    path = None
    if parent:
        path = search_path(parent)
        if path is None:
            return None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        kind = type(finder) if not isinstance(finder, type) else finder
        # Our own finders hook imports that happen, or ask a client: this is the client.
        if find is None or kind.__module__.startswith(_PACKAGE):
            continue
        try:
            found: ModuleSpec | None = find(name, path)
        except KeyError:
            # A namespace package, whose spec PathFinder cannot make before the parent is imported.
            found = _namespace(name, path or [])
        if found is not None:
            return found
    return None


def _namespace(name: str, path: list[str]) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    portions = [os.path.join(folder, name.rpartition(".")[2]) for folder in path]
    spec.submodule_search_locations = [portion for portion in portions if os.path.isdir(portion)]
    return spec


def search_path(package: str) -> list[str] | None:
    """Where modules of a package are looked for; None when it is none."""
    module = sys.modules.get(package)
    if module is not None:
        path = getattr(module, "__path__", None)
        return None if path is None else list(path)
    spec = find_spec(package)
    return None if spec is None else _locations(spec)


def _locations(spec: ModuleSpec) -> list[str] | None:
    locations: Any = spec.submodule_search_locations
    # A namespace's path, when iterated, wants its parent to have been imported.
    return None if locations is None else list(getattr(locations, "_path", locations))


class _Batch:
    """Modules of one answer."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.entries: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.complete: list[str] = []
        self._names: set[str] = set()
        self._size = 0

    def full(self) -> bool:
        return self._size > BATCH or len(self.entries) > _COUNT

    def add(self, name: str, spec: ModuleSpec | None, *, asked: bool = False) -> None:
        if name in self._names:
            return
        try:
            entry, body = _read(name, spec, asked, self._code)
        except PermissionError:
            if asked:
                raise
            # Who wants this one is told why it cannot be had.
            entry, body = {**_MISSING, "size": None, "digest": None}, b""
        self._names.add(name)
        self._size += len(body)
        self.entries.append({"name": name, **entry})
        self.bodies.append(body)

    def add_package(self, name: str) -> None:
        """Everything under the package that is one Python file, breadth first: the top is used first."""
        queue = [name]
        while queue and not self.full():
            package = queue.pop(0)
            path = search_path(package) or []
            listed = list(pkgutil.iter_modules(path, package + "."))
            for info in listed:
                if self.full():
                    return
                self.add(info.name, PathFinder.find_spec(info.name, path))
                if info.ispkg:
                    queue.append(info.name)
            if not self._has_more(path, {info.name.rpartition(".")[2] for info in listed}):
                self.complete.append(package)

    @staticmethod
    def _has_more(path: list[str], listed: set[str]) -> bool:
        """Whether there may be modules that iter_modules does not tell: namespace packages, zips, hooks."""
        for folder in path:
            if not os.path.isdir(folder):
                return True
            with os.scandir(folder) as entries:
                if any(
                    e.is_dir() and e.name.isidentifier() and e.name not in {*listed, "__pycache__"}
                    for e in entries
                ):
                    return True
        return False


def _module(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    name = str(request["name"])
    if "/" in name or "\0" in name:
        raise ValueError("a module's name is no path")
    spec = find_spec(name)
    batch = _Batch(code)
    batch.add(name, spec, asked=True)
    if spec is not None and spec.submodule_search_locations is not None:
        batch.add_package(name)
    elif spec is not None and "." not in name:
        for other, found in _neighbours(spec):
            if not batch.full():
                batch.add(other, found)
    header = {"modules": batch.entries, "complete": batch.complete, "platform": platform_tag()}
    return header, b"".join(batch.bodies)


def _neighbours(spec: ModuleSpec) -> Iterator[tuple[str, ModuleSpec]]:
    """Loaded top-level modules from the same directory, unless things are installed there."""
    folder = os.path.dirname(spec.origin or "")
    if not folder or folder.endswith("-packages"):
        return
    for name, module in list(sys.modules.items()):
        other = getattr(module, "__spec__", None)
        if (
            "." not in name
            and other is not None
            and other.name == name
            and other.submodule_search_locations is None
        ) and os.path.dirname(other.origin or "") == folder:
            yield name, other


def _read(name: str, spec: ModuleSpec | None, asked: bool, code: Code) -> tuple[dict[str, Any], bytes]:
    if spec is None:
        return {**_MISSING, "size": 0, "digest": None}, b""
    path = None if spec.submodule_search_locations is None else search_path(name) or []
    kind, body = _content(name, spec, asked, code)
    entry: dict[str, Any] = {
        "kind": kind,
        "origin": spec.origin,
        "is_package": path is not None,
        "path": path,
        "size": None if body is None else len(body),
        "digest": hashlib.sha256(body).hexdigest() if body is not None else None,
    }
    if kind == "extension" and asked:
        brought = _libraries(str(spec.origin), code)
        entry["libraries"] = {
            name: hashlib.sha256(code.read(path)).hexdigest() for name, path in brought.items()
        }
    return entry, body or b""


def _content(name: str, spec: ModuleSpec, asked: bool, code: Code) -> tuple[str, bytes | None]:
    loader: Any = spec.loader
    origin = spec.origin or ""
    if spec.submodule_search_locations is not None and (loader is None or not spec.has_location):
        return "namespace", b""
    if origin.endswith(tuple(EXTENSION_SUFFIXES)):
        if not asked:
            return "extension", None
        return "extension", code.read(origin)
    if origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)) and hasattr(loader, "get_data"):
        return "source", _bytes_of(origin, loader, code)
    if origin.endswith(".pyc") and hasattr(loader, "get_data"):
        return "bytecode", _bytes_of(origin, loader, code)
    text = loader.get_source(name) if hasattr(loader, "get_source") else None
    return ("missing", b"") if text is None else ("source", text.encode())


def _bytes_of(path: str, loader: Any, code: Code) -> bytes:
    if os.path.exists(path) or not hasattr(loader, "get_data"):
        return code.read(path)
    found: bytes = loader.get_data(path)
    return found


def _place(request: dict[str, Any]) -> tuple[Any, str, str]:
    """Loader, path and the directory that confines it, of what a data request means."""
    spec = find_spec(str(request["module"]))
    relative = os.path.normpath(str(request["path"]) or ".")
    if spec is None or (not spec.has_location and not spec.submodule_search_locations):
        raise FileNotFoundError(2, "module has no directory", request["module"])
    folders = _locations(spec) or [os.path.dirname(spec.origin or "")]
    for folder in folders:
        path = os.path.join(folder, relative)
        inside = os.path.realpath(path) + os.sep
        if os.path.isabs(relative) or not inside.startswith(os.path.realpath(folder) + os.sep):
            raise PermissionError(13, "path leads out of the module's directory", relative)
        if len(folders) == 1 or os.path.exists(path):
            return spec.loader, path, folder
    raise FileNotFoundError(2, "no such file in the package", relative)


def _data(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    loader, path, folder = _place(request)
    if os.path.exists(path) or not hasattr(loader, "get_data"):
        body = code.read(path, folder)
    else:
        body = loader.get_data(path)
    return {"found": True, "digest": hashlib.sha256(body).hexdigest()}, body


def _library(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    spec = find_spec(str(request["module"]))
    if spec is None:
        raise FileNotFoundError(2, "no such module", request["module"])
    return {"found": True}, code.read(_libraries(str(spec.origin), code)[str(request["library"])])


def _libraries(origin: str, code: Code) -> dict[str, str]:
    """What the module brings along, and nothing that lies elsewhere: a worker may have written it."""
    return {name: path for name, path in elf.bundled(origin).items() if code.holds(path)}


def _list(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    _loader, path, folder = _place(request)
    return {"found": True, "entries": code.entries(path, folder)}, b""


def _folder(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    path = str(request["path"])
    packages = (getattr(module, "__path__", ()) for module in list(sys.modules.values()))
    roots = {os.path.abspath(entry) for entry in sys.path}
    roots.update(entry for locations in packages for entry in list(locations) if isinstance(entry, str))
    if not any(f"{os.path.abspath(path)}{os.sep}".startswith(f"{root}{os.sep}") for root in roots):
        raise PermissionError(13, "not a directory of the program's modules", path)
    if os.path.isdir(path):
        code.check(path)
    found = sorted([info.name, info.ispkg] for info in pkgutil.iter_modules([path]))
    return {"found": True, "modules": found}, b""


def _source(request: dict[str, Any], code: Code) -> tuple[dict[str, Any], bytes]:
    file = str(request["file"])
    known = [vars(module) for module in list(sys.modules.values()) if _file_of(module) == file]
    if file not in linecache.cache and not known:
        raise PermissionError(13, "not the source of a loaded module", file)
    return read_source(file, code, known[0] if known else None)


def read_source(file: str, code: Code, module: dict[str, Any] | None = None) -> tuple[dict[str, Any], bytes]:
    """The text of a source file, as the answer to a request; `module`: the names of the one it is of."""
    if os.path.isabs(file) and os.path.exists(file):
        text = decode_source(code.read(file))
        return {"found": bool(text)}, (text if text.endswith("\n") else text + "\n").encode()
    linecache.checkcache(file)
    # What is in no file of its own (a zip's) is had from the module's loader.
    lines = linecache.getlines(file, module)
    return {"found": bool(lines)}, "".join(lines).encode()


def main_script() -> str | None:
    """The file of the program's main script."""
    file: str | None = _file_of(sys.modules["__main__"])
    return file


def read_script(file: str, code: Code) -> tuple[dict[str, Any], bytes]:
    """What is in it, as the answer to a request."""
    if os.path.exists(file):
        return {"found": True}, code.read(file)
    return read_source(file, code)


def _file_of(module: Any) -> Any:
    # __mp_main__ and `python app.py` name the script as it was given; the standard library makes it absolute.
    file = getattr(module, "__file__", None)
    return (
        os.path.abspath(file)
        if isinstance(file, str) and getattr(module, "__name__", "") == "__main__"
        else file
    )


_HANDLERS: dict[str, Callable[[dict[str, Any], Code], tuple[dict[str, Any], bytes]]] = {
    "module": _module,
    "data": _data,
    "library": _library,
    "list": _list,
    "source": _source,
    "script": _source,
    "folder": _folder,
}
