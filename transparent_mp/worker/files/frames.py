"""Tracebacks of a process: what stands in the place of a built-in function has no frame in them either."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

_HERE = os.path.dirname(__file__) + os.sep


def without_ours(instead: Any) -> Any:
    """traceback's walk through the frames of an error."""

    def walk(*args: Any) -> Iterator[Any]:
        for each in instead(*args):
            if not each[0].f_code.co_filename.startswith(_HERE):
                yield each

    return walk
