"""This machine's own `os`, whatever stands in its names: what the copies of files are made with.

It does not know what a path means.
"""

from __future__ import annotations

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
