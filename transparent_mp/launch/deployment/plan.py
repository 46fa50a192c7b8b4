"""A plan: the steps that lead from what is there to what is wanted, shown before any is taken.

A step that needs what an earlier one makes (the role's ARN) reads it when it acts, not when it is
planned. A plan without steps means that nothing is to do. It does not know AWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

MARKS = {"create": "+", "update": "~", "delete": "-"}


@dataclass(frozen=True)
class Step:
    """One change: `verb` (create, update, delete) `what`, with the details that a reader wants."""

    verb: str
    what: str
    details: Sequence[str]
    act: Callable[[], None]

    def lines(self) -> list[str]:
        """As it is shown."""
        return [f"{MARKS[self.verb]} {self.verb} {self.what}", *(f"    {detail}" for detail in self.details)]


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What differs, a line each; only names in `after` are looked at."""
    return [
        f"{name}: {before[name]} -> {value}" if name in before else f"{name}: {value}"
        for name, value in after.items()
        if before.get(name) != value
    ]
