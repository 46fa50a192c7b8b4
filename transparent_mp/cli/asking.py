"""Plans at a terminal: shown, and confirmed by whoever sits there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from transparent_mp.launch.deployment.deploying import carry_out
from transparent_mp.launch.deployment.plan import Step


def carried_out(title: str, steps: Sequence[Step], question: str, *, dry_run: bool, yes: bool) -> int | None:
    """Show the steps, ask, and do them; the exit status with which to end instead, None when done."""
    print(title)
    for step in steps:
        for line in step.lines():
            print("  " + line)
    if dry_run:
        return 0
    if not _confirmed(question, yes):
        return 1
    carry_out(steps, print)
    return None


def _confirmed(question: str, yes: bool) -> bool:
    """Whether to go on; says why not."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print("nobody is there to be asked: --yes goes on without", file=sys.stderr)
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
