"""Plans at a terminal: shown, and confirmed by whoever sits there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from transparent_mp.launch.deployment.plan import Step


def show(title: str, steps: Sequence[Step]) -> None:
    """Print what is going to be done."""
    print(title)
    for step in steps:
        for line in step.lines():
            print("  " + line)


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on; says why not."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print("nobody is there to be asked: --yes goes on without", file=sys.stderr)
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
