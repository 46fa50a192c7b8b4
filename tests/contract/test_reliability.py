"""What a program sees of trouble, by the rules of docs/reliability.md, on each kind of worker.

The programs in `reliability/` print what they see; plain Python would wait for ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

RELIABILITY = Path(__file__).parent / "reliability"
WAYS = ("fork local", "fork sandbox", "spawn local", "spawn sandbox")


@pytest.mark.parametrize(("method", "binding"), [way.split() for way in WAYS], indirect=["binding"], ids=WAYS)
@pytest.mark.parametrize("program", sorted(path.name for path in RELIABILITY.glob("*.py")))
def test_a_program_sees_what_the_rules_say(
    program: str, method: str, binding: Any, on_workers: Callable[..., Any]
) -> None:
    ran = on_workers(binding, program, method, cwd=RELIABILITY)
    expected = (RELIABILITY / program).with_suffix(".txt").read_text()
    assert ran.out.decode() == expected
    assert (ran.err, ran.status) == (b"", 0)
    assert ran.witnessed
