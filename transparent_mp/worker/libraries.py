"""Shared libraries that a compiled module of the client brings along: loaded before it is.

The dynamic loader takes a library that is loaded already for the one of that name that a module needs,
wherever it was to be found. One of a name that this process has by itself is not loaded again.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Callable

from transparent_mp.originals import original
from transparent_mp.worker.pantry import Pantry


def load(pantry: Pantry, ask: Callable[..., Any], module: str, libraries: dict[str, str]) -> None:
    """`libraries`: their names and digests, each after those that it needs. Raises ImportError."""
    for name, digest in libraries.items():
        if _is_loaded(name):
            continue
        path = pantry.has_native(digest, name)
        if not path:
            header, body = ask("library", {"module": module, "library": name})
            if not header.get("found") or hashlib.sha256(body).hexdigest() != digest:
                why = header.get("error", "it has changed")
                raise ImportError(f"{name}, which {module!r} needs, is not to be had: {why}", name=module)
            path = pantry.native(body, name)
        _open(path, os.RTLD_NOW)


def _is_loaded(name: str) -> bool:
    try:
        _open(name, os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return False
    return True


def _open(name: str, mode: int) -> None:
    original("ctypes", "_dlopen")(name, mode)
