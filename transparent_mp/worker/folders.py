"""Directories of the client on a worker's `sys.path`, and in its packages' paths.

Modules in those that the client itself has on its path are found by `ClientFinder`, in batches, and only
listed here. A directory that the process has added is looked into where it lies, at the client: one round
trip for each import that comes by it, and the files of the module.

It does not know how a path leads to the client; `worker/files` does.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from typing import Any, Callable, Protocol

from transparent_mp.store.link import from_handler

#: In the order in which the import system looks for them.
_KINDS = (
    *((suffix, None) for suffix in importlib.machinery.EXTENSION_SUFFIXES),
    *((suffix, SourceFileLoader) for suffix in importlib.machinery.SOURCE_SUFFIXES),
    *((suffix, SourcelessFileLoader) for suffix in importlib.machinery.BYTECODE_SUFFIXES),
)


class _Client(Protocol):
    def modules(self, path: str) -> list[tuple[str, bool]]:
        """Names of modules in a directory, and which are packages."""

    def compiled(self, name: str, content: bytes, origin: str) -> Any:
        """A loader of a compiled module."""


class FolderFinder:
    """Path entry finder of one directory; `added`: by this process, or by one that led to it."""

    def __init__(self, client: _Client, path: str, *, added: bool) -> None:
        self._client = client
        self._path = path
        self.added = added

    def find_spec(self, name: str, target: Any = None) -> ModuleSpec | None:
        del target
        if not self.added:
            return None
        last = name.rpartition(".")[2]
        base = os.path.join(os.path.abspath(self._path), last)
        names = _entries(self._path)
        if last in names:
            inside = _entries(base)
            for suffix, kind in _KINDS:
                if f"__init__{suffix}" in inside:
                    return self._spec(name, os.path.join(base, f"__init__{suffix}"), kind, [base])
        for suffix, kind in _KINDS:
            if last + suffix in names:
                return self._spec(name, base + suffix, kind, None)
        if last in names and os.path.isdir(base):
            # A portion of a namespace.
            spec = ModuleSpec(name, None)
            spec.submodule_search_locations = [base]
            return spec
        return None

    def _spec(
        self, name: str, file: str, kind: Callable[[str, str], Any] | None, locations: list[str] | None
    ) -> ModuleSpec | None:
        if kind is not None:
            loader = kind(name, file)
        else:
            with open(file, "rb") as content:
                loader = self._client.compiled(name, content.read(), file)
        return importlib.util.spec_from_file_location(
            name, file, loader=loader, submodule_search_locations=locations
        )

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        found = self._listed() if self.added else self._client.modules(self._path)
        return ((prefix + name, package) for name, package in found)

    def _listed(self) -> list[tuple[str, bool]]:
        found: dict[str, bool] = {}
        for entry in sorted(_entries(self._path)):
            folder = os.path.join(self._path, entry)
            suffix = next((suffix for suffix, _ in _KINDS if entry.endswith(suffix)), "")
            if suffix and entry != f"__init__{suffix}":
                found.setdefault(entry[: -len(suffix)], False)
            elif entry.isidentifier() and any(f"__init__{end}" in _entries(folder) for end, _ in _KINDS):
                found[entry] = True
        return sorted(found.items())


def _entries(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        if from_handler(error):
            raise
        # As the import system: what cannot be listed holds no modules.
        return set()
