"""The contract: a program cannot tell whether its processes run beside it or on workers.

Each file in `programs/` is a program as a user writes it, which prints what it sees. It is run under
plain Python and on the workers of every binding, with the start method as its argument; output,
errors and exit status are the same, and workers ran its processes.
"""

from __future__ import annotations

from typing import Any, Callable

import pytest

ALL = ("fork", "spawn", "forkserver")
# What does not depend on how a process begins is run once by value and once by import.
BOTH = ("fork", "spawn")

PROGRAMS = {
    "directory.py": BOTH,
    "endings.py": ALL,
    "executors.py": BOTH,
    "exits.py": ALL,
    "files_locks.py": BOTH,
    "files_names.py": BOTH,
    "files_read.py": BOTH,
    "files_trouble.py": BOTH,
    "files_write.py": BOTH,
    "inherited.py": ("fork",),
    "inherited_memory.py": ("fork",),
    "locks.py": BOTH,
    "managers.py": BOTH,
    "memory.py": BOTH,
    "named_memory.py": BOTH,
    "numeric_memory.py": BOTH,
    "output.py": BOTH,
    "pipes.py": BOTH,
    "pools.py": ALL,
    "processes.py": ALL,
    "queues.py": BOTH,
    "surroundings.py": ALL,
}


RUNS = [
    pytest.param(program, method, place, id=f"{program[:-3]}-{method}-{place}")
    for program, methods in PROGRAMS.items()
    for method in methods
    for place in ("local", "sandbox")
    # On another host a fork server is what spawn is.
    if place == "local" or method != "forkserver"
]


@pytest.mark.parametrize(("program", "method", "binding"), RUNS, indirect=["binding"])
def test_a_program_prints_what_it_prints_under_plain_python(
    program: str, method: str, binding: Any, plain: Callable[..., Any], on_workers: Callable[..., Any]
) -> None:
    expected = plain(program, method)
    ran = on_workers(binding, program, method)
    assert ran.out.decode(errors="backslashreplace") == expected.out.decode(errors="backslashreplace")
    assert ran.err.decode() == expected.err.decode()
    assert ran.status == expected.status == 0
    assert ran.witnessed


def test_every_program_is_in_the_table(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent / "programs"
    assert sorted(path.name for path in folder.glob("*.py")) == sorted(PROGRAMS)
