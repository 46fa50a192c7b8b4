"""This machine's own `os` and `os.path`, whatever stands in their names: copies of files are made with it.

It does not know what a path means.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any

from transparent_mp.originals import original


class _Os:
    """`os` without our replacements: `real_os.stat(path)`."""

    def __getattr__(self, name: str) -> Any:
        # Kept: a name's original does not change.
        value = original("os", name) if hasattr(os, name) else getattr(os, name)
        setattr(self, name, value)
        return value


real_os: Any = _Os()


@functools.cache
def real_path() -> Any:
    """`os.path` over `real_os`: its functions that look at a path part by part look here."""
    spec: Any = importlib.util.find_spec(os.path.__name__)
    # A second one beside the interpreter's own, known to nobody else.
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["os"] = real_os
    return module
