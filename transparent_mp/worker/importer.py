"""Imports what this machine lacks from the client.

`ClientFinder` stands last in `sys.meta_path`, so that whatever is installed here wins. It asks for
names that the client could have: not the standard library's, not ours, and not submodules of a package
that is this machine's own. One answer may bring many modules; answers, and the knowledge that there is
no such module, last until `refresh()` answers another number. Modules keep the file names they have at
the client.

It does not know how the client is asked: `ask(kind, header) -> (header, body)` does.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import io
import linecache
import os
import sys
import sysconfig
import threading
from collections.abc import Collection, Iterator
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from typing import Any, Callable, NamedTuple

from transparent_mp.ship.modules import platform_tag
from transparent_mp.worker import libraries
from transparent_mp.worker.folders import FolderFinder
from transparent_mp.worker.pantry import Pantry

Ask = Callable[[str, dict[str, Any]], tuple[dict[str, Any], bytes]]
_PACKAGE = __name__.partition(".")[0]


class Entry(NamedTuple):
    """One module of the client."""

    header: dict[str, Any]
    body: Any


class ClientFinder:
    """Meta-path finder of the client's modules."""

    def __init__(
        self,
        ask: Ask,
        refresh: Callable[[], int] = lambda: 0,
        pantry: Pantry | None = None,
        added: Collection[str] = (),
    ) -> None:
        """`added`: what others than the client have put on the path that this process begins with."""
        self._ask = ask
        self._refresh = refresh
        self._edition = 0
        self.pantry = pantry or Pantry()
        self._entries: dict[str, Entry] = {}
        self._complete: set[str] = set()
        #: Where packages of the client lie there.
        self._folders: set[str] = set()
        #: The client's own sys.path, and this interpreter's.
        self._path = set(sys.path).difference(added)
        self._client: dict[str, str] = {}
        # Imports of several threads: one asks, the others find what it brought.
        self._lock = threading.RLock()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        top, _, _ = name.partition(".")
        parent = name.rpartition(".")[0]
        if (top in _STANDARD and not self._is_clients(top)) or (parent and not self._is_clients(parent)):
            return None
        return self.spec(name)

    def spec(self, name: str) -> ModuleSpec | None:
        """What the client has of that name, whatever this machine has."""
        with self._lock:
            edition = self._refresh()
            if edition != self._edition:
                self._edition = edition
                self._entries.clear()
                self._complete.clear()
            entry = self._entry(name)
        if entry is None or entry.header["kind"] == "missing":
            return None
        return self._spec(name, entry)

    def has_compiled(self, package: str) -> bool:
        """Whether there are compiled modules in a package that has been found."""
        inside = [
            entry.header for name, entry in list(self._entries.items()) if name.startswith(f"{package}.")
        ]
        return any(header["kind"] == "extension" for header in inside)

    def data(self, module: str, path: str) -> bytes:
        """Bytes of a file beside `module`; FileNotFoundError when the client has none."""
        header, body = self._ask("data", {"module": module, "path": path})
        if not header.get("found"):
            raise FileNotFoundError(2, f"not at the client ({header.get('error', 'no such file')})", path)
        return body

    def entries(self, module: str, path: str) -> dict[str, bool]:
        """Names in a directory beside `module` (none if it is no directory), and which are directories."""
        header, _ = self._ask("list", {"module": module, "path": path})
        return dict(header.get("entries", ()))

    def folder(self, path: str) -> FolderFinder:
        """Path hook, behind the others: a directory that is not here."""
        # Not a file: runpy takes what has a finder for a directory or an archive.
        if not (path in self._folders or path in sys.path or (os.path.isabs(path) and os.path.isdir(path))):
            raise ImportError("only a directory of the client is looked into", path=path)
        return FolderFinder(self, path, added=path not in self._folders and path not in self._path)

    def compiled(self, name: str, content: bytes, origin: str) -> ExtensionFileLoader:
        """Loader of a compiled module, of which the file that it names is the client's."""
        path = self.pantry.native(content, os.path.basename(origin))
        return ClientExtensionLoader(name, path, origin)

    def modules(self, path: str) -> list[tuple[str, bool]]:
        """Names of modules in a directory, and which are packages."""
        header, _ = self._ask("folder", {"path": path})
        return [(name, package) for name, package in header.get("modules", ())]

    def _is_clients(self, package: str) -> bool:
        spec = getattr(sys.modules.get(package), "__spec__", None)
        loader = getattr(spec, "loader", None)
        # A namespace package may have portions here and there.
        return isinstance(loader, (ClientLoader, ClientBytecodeLoader, ClientNamespaceLoader)) or (
            spec is not None and (loader is None or "amespace" in type(loader).__name__)
        )

    def _entry(self, name: str) -> Entry | None:
        """What is known of the module; None: there is none."""
        known = self._entries.get(name)
        if known is not None and known.header["size"] is not None:
            return known
        if known is None and name.rpartition(".")[0] in self._complete:
            return None
        header, body = self._ask("module", {"name": name})
        if "modules" not in header:
            raise ImportError(f"the client could not look for {name!r}: {header.get('error')}", name=name)
        self._client = header["platform"]
        self._complete.update(header["complete"])
        at, view = 0, memoryview(body)
        for module in header["modules"]:
            self._folders.update(module["path"] or ())
            size = module["size"] or 0
            if module["name"] == name or module["name"] not in self._entries:
                self._entries[module["name"]] = Entry(module, view[at : at + size])
            at += size
        return self._entries.get(name)

    def _spec(self, name: str, entry: Entry) -> ModuleSpec:
        header = entry.header
        if header["kind"] == "extension":
            return self._extension(name, entry)
        loader: Any = None
        if header["kind"] == "source":
            loader = ClientLoader(name, entry, self)
        elif header["kind"] == "bytecode":
            loader = ClientBytecodeLoader(name, entry, self)
        elif header["kind"] == "namespace":
            loader = ClientNamespaceLoader(name, entry, self)
        spec = ModuleSpec(name, loader, origin=header["origin"], is_package=header["is_package"])
        if header["is_package"]:
            spec.submodule_search_locations = list(header["path"])
        spec.has_location = header["kind"] != "namespace" and header["origin"] is not None
        return spec

    def _extension(self, name: str, entry: Entry) -> ModuleSpec:
        origin = str(entry.header["origin"])
        differs = mismatch(self._client, platform_tag(), origin)
        if differs:
            raise ImportError(
                f"{name!r} is compiled for the client's {differs}; "
                "install it on the workers: run `transparent-mp deploy`, or build it for both",
                name=name,
                path=origin,
            )
        path = self.pantry.native(entry.body, os.path.basename(origin))
        libraries.load(self.pantry, self._ask, name, entry.header.get("libraries", {}))
        loader = ClientExtensionLoader(name, path, origin)
        spec = importlib.machinery.ModuleSpec(
            name, loader, origin=path, is_package=entry.header["is_package"]
        )
        if entry.header["is_package"]:
            spec.submodule_search_locations = list(entry.header["path"])
        spec.has_location = True
        return spec


class OwnFinder:
    """Finds the program's own modules at the client, before what this machine has under their names.

    It may have another edition installed, or the standard library a module that the program's hides.
    Compiled ones are left to be found here first: they may have been deployed.
    """

    def __init__(self, finder: ClientFinder, names: set[str]) -> None:
        self._finder = finder
        self._names = names
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if name not in self._names:
            return None
        spec = self._finder.spec(name)
        return (
            None
            if spec is None
            or isinstance(spec.loader, ExtensionFileLoader)
            or (spec.submodule_search_locations is not None and self._finder.has_compiled(name))
            else spec
        )


class ClientExtensionLoader(ExtensionFileLoader):
    """Loader of a compiled module from its copy here; the file that it names is the client's."""

    def __init__(self, name: str, path: str, origin: str) -> None:
        super().__init__(name, path)
        self._origin = origin

    def exec_module(self, module: Any) -> None:
        super().exec_module(module)
        module.__file__ = self._origin


class _ClientLoaderBase:
    """What loaders of source and of bytecode share."""

    def __init__(self, name: str, entry: Entry, finder: ClientFinder) -> None:
        self.name = name
        self._entry = entry
        self._finder = finder

    def get_filename(self, name: str | None = None) -> str:
        del name
        return self._entry.header["origin"] or f"<{self.name}>"

    def is_package(self, name: str | None = None) -> bool:
        del name
        return bool(self._entry.header["is_package"])

    def get_data(self, path: Any) -> bytes:
        path = os.fspath(path)
        origin = self.get_filename()
        if path == origin:
            return bytes(self._entry.body)
        return self._finder.data(self.name, os.path.relpath(path, os.path.dirname(origin)))

    def get_resource_reader(self, _name: str) -> Any:
        return ClientResources(self._finder, self.name) if self.is_package() else None


class ClientLoader(_ClientLoaderBase, importlib.abc.SourceLoader):  # type: ignore[misc]
    """Loader of a module whose source is the client's."""

    def get_code(self, fullname: str) -> Any:
        # Warnings look a line up by its file's name alone.
        linecache.lazycache(self.get_filename(), {"__name__": self.name, "__loader__": self})
        compiled = functools.partial(super().get_code, fullname)
        return self._finder.pantry.code(self._entry.header["digest"], self.get_filename(), compiled)


class ClientBytecodeLoader(_ClientLoaderBase, importlib.machinery.SourcelessFileLoader):  # type: ignore[misc]
    """Loader of a module that the client has as .pyc only."""

    @property
    def path(self) -> str:  # type: ignore[override]
        return self.get_filename()


class ClientNamespaceLoader(_ClientLoaderBase, importlib.abc.InspectLoader):
    """Loader of a package without a file: what there is of it is at the client."""

    def get_source(self, fullname: str) -> str:
        del fullname
        return ""

    def exec_module(self, module: Any) -> None:
        # As the import system leaves one of its own.
        module.__file__ = None


def fallback_resources(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Stands for importlib's way to a package's files where it does not ask the loader (Python 3.9)."""

    def resources(spec: Any) -> Any:
        loader = spec.loader
        return (
            loader.get_resource_reader(spec.name).files()
            if isinstance(loader, _ClientLoaderBase)
            else original(spec)
        )

    return resources


class ClientResources:
    """What importlib.resources reads of a package."""

    def __init__(self, finder: ClientFinder, package: str) -> None:
        self._root = ClientResource(finder, package, "")

    def files(self) -> ClientResource:
        return self._root

    def open_resource(self, resource: str) -> io.BytesIO:
        return io.BytesIO(self._root.joinpath(resource).read_bytes())

    def resource_path(self, resource: str) -> str:
        # "There is no concrete path": the caller then makes a temporary file of the content.
        raise FileNotFoundError(2, "at the client only", resource)

    def is_resource(self, path: str) -> bool:
        return self._root.joinpath(path).is_file()

    def contents(self) -> Iterator[str]:
        return (item.name for item in self._root.iterdir())


class ClientResource:
    """A file or directory of a client's package, as importlib.resources walks it."""

    def __init__(self, finder: ClientFinder, package: str, path: str) -> None:
        self._finder = finder
        self._package = package
        self._path = path

    @property
    def name(self) -> str:
        return os.path.basename(self._path) or self._package.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<{self._path or '.'} of package {self._package} at the client>"

    def joinpath(self, *parts: Any) -> ClientResource:
        path = os.path.join(self._path, *(os.fspath(part) for part in parts))
        return type(self)(self._finder, self._package, path)

    def __truediv__(self, part: Any) -> ClientResource:
        return self.joinpath(part)

    def iterdir(self) -> Iterator[ClientResource]:
        return (self.joinpath(name) for name in self._finder.entries(self._package, self._path))

    def is_dir(self) -> bool:
        return self._kind() is True

    def is_file(self) -> bool:
        return self._kind() is False

    def _kind(self) -> bool | None:
        folder, name = os.path.split(self._path)
        return True if not name else self._finder.entries(self._package, folder).get(name)

    def read_bytes(self) -> bytes:
        return self._finder.data(self._package, self._path)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with self.open("r", encoding=encoding, errors=errors) as file:
            return str(file.read())

    def open(self, mode: str = "r", *, encoding: str | None = None, errors: str | None = None) -> Any:
        content = io.BytesIO(self.read_bytes())
        return content if "b" in mode else io.TextIOWrapper(content, encoding or "utf-8", errors)


def mismatch(client: dict[str, str], here: dict[str, str], origin: str) -> str:
    """In what the platforms differ, as text; empty when the compiled module may be loaded here."""
    keys = ["machine"] if ".abi3." in origin else ["machine", "python", "suffix"]
    differ = [key for key in keys if client[key] != here[key]]
    theirs, ours = client["libc"].split(), here["libc"].split()
    if theirs[0] != ours[0] or _numbers(theirs) > _numbers(ours):
        differ.append("libc")
    return ", ".join(f"{key} {client[key]} (here {here[key]})" for key in differ)


def _numbers(libc: list[str]) -> list[int]:
    return [int(part) for part in libc[-1].split(".") if part.isdigit()]


def _standard_names() -> frozenset[str]:
    names = getattr(sys, "stdlib_module_names", None)
    if names is None:  # 3.9
        folders = [
            sysconfig.get_path("stdlib"),
            os.path.join(sysconfig.get_path("platstdlib"), "lib-dynload"),
        ]
        files = [file for folder in folders if os.path.isdir(folder) for file in os.listdir(folder)]
        names = {*sys.builtin_module_names, *(file.partition(".")[0] for file in files)} - {"site-packages"}
    return frozenset({*names, _PACKAGE, "__main__", "__mp_main__", "sitecustomize", "usercustomize"})


_STANDARD = _standard_names()
