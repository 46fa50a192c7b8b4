"""What a name of someone else's module was before `intercept` replaced it.

Lies below every layer, so that a replacement, or whoever needs the answer of this very machine, can
ask for the original without importing `intercept`, which alone calls `remember` and `forget`. For a
name that is not replaced the original is what the module has now, so callers need not know whether
anything is switched on.

Does not replace or restore anything.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from typing import Any

_originals: dict[tuple[str, str], object] = {}


def original(module: str, name: str) -> Any:
    """The value that `name` (dotted for a class's attribute) has in plain Python."""
    try:
        return _originals[module, name]
    except KeyError:
        pass
    __import__(module)
    value: Any = sys.modules[module]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def remember(module: str, name: str, value: object) -> None:
    """Note the original of a name that is being replaced."""
    _originals[module, name] = value


def forget(module: str, name: str) -> None:
    """The name has its original again."""
    _originals.pop((module, name), None)
