"""The contract: a program cannot tell whether its processes run beside it or on workers.

Each file in `programs/` is a program as a user writes it, which prints what it sees. It is run under
plain Python and on the workers of every binding, with the start method as its argument; output,
errors and exit status are the same, and workers ran its processes. What differs nevertheless is a program
in `differences/`, listed with its reason in `known_differences.txt`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable

import pytest

# On another host a fork server is what spawn is.
ALL = ("fork local", "fork sandbox", "spawn local", "spawn sandbox", "forkserver local")
# What does not depend on how a process begins is run once by value and once by import.
BOTH = ALL[:4]
FORK = ALL[:2]
# And what depends on the method or on the place, but not on the two at once, in two of the four ways.
CROSSWISE = ("fork local", "spawn sandbox")

PROGRAMS = {
    "alike.py": BOTH,
    "applied.py": CROSSWISE,
    "arrays.py": CROSSWISE,
    "at_exit.py": CROSSWISE,
    "commands.py": CROSSWISE,
    "compiled.py": CROSSWISE,
    "concurrently.py": CROSSWISE,
    "contexts.py": CROSSWISE,
    "daemons.py": CROSSWISE,
    "directory.py": BOTH,
    "endings.py": ALL,
    "executors.py": BOTH,
    "exits.py": ALL,
    "files_libraries.py": CROSSWISE,
    "files_locks.py": BOTH,
    "files_names.py": BOTH,
    "files_read.py": BOTH,
    # A worker beside the client has its rights and not those that the client has given up.
    "files_refused.py": ("fork sandbox",),
    "files_trouble.py": BOTH,
    "files_write.py": BOTH,
    "freed.py": BOTH,
    "futures.py": CROSSWISE,
    "inherited.py": FORK,
    "inherited_memory.py": FORK,
    "interrupted.py": CROSSWISE,
    "killed_holders.py": CROSSWISE,
    "last_words.py": BOTH,
    "left_threads.py": BOTH,
    "libraries.py": FORK,
    "listeners.py": CROSSWISE,
    "locks.py": BOTH,
    "logged.py": CROSSWISE,
    "managers.py": BOTH,
    "mapped_files.py": FORK,
    "memory.py": BOTH,
    "named_memory.py": BOTH,
    "nested.py": CROSSWISE,
    "numeric_memory.py": BOTH,
    "output.py": BOTH,
    "outside.py": CROSSWISE,
    "own_managers.py": CROSSWISE,
    "passed.py": BOTH,
    "pipes.py": BOTH,
    "pool_life.py": CROSSWISE,
    "pool_results.py": CROSSWISE,
    "pools.py": ALL,
    "processes.py": ALL,
    "queue_ends.py": CROSSWISE,
    "queues.py": BOTH,
    "queues_ahead.py": CROSSWISE,
    "queues_streamed.py": CROSSWISE,
    "relatives.py": CROSSWISE,
    "remote_managers.py": CROSSWISE,
    "rounds_of_memory.py": CROSSWISE,
    "signals.py": CROSSWISE,
    "surroundings.py": ALL,
    "unbuffered.py": BOTH,
    "waiting.py": CROSSWISE,
}

#: What a program needs that is not in the environment of the tests; without it, it is not run.
NEEDS = {
    "files_libraries.py": ("h5py", "pandas", "pyarrow"),
    "libraries.py": ("gymnasium", "matplotlib", "pandas"),
}

#: Words in front of a program.
FLAGS = {"unbuffered.py": ("-u",)}

#: What shows what a process has interned, by its imports too, before this version.
SINCE = {"compiled.py": (3, 11)}

#: Programs that plain Python's fork does not always end: a child forked by one thread while another holds
#: the lock of stdout hangs in `_flush_std_streams`. What they print is what they print under spawn.
UNSAFE_UNDER_FORK = {"concurrently.py"}

RUNS = [
    pytest.param(program, *way.split(), id=f"{program[:-3]}-{way.replace(' ', '-')}")
    for program, ways in PROGRAMS.items()
    for way in ways
]

DIFFERENCES = [
    line.split("\t")
    for line in Path(__file__).with_name("known_differences.txt").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("program", "method", "binding"), RUNS, indirect=["binding"])
def test_a_program_prints_what_it_prints_under_plain_python(
    program: str, method: str, binding: Any, plain: Callable[..., Any], on_workers: Callable[..., Any]
) -> None:
    for name in NEEDS.get(program, ()):
        pytest.importorskip(name)
    if sys.version_info < SINCE.get(program, ()):
        pytest.skip("another Python's bytecode")
    flags = FLAGS.get(program, ())
    expected = plain(program, "spawn" if program in UNSAFE_UNDER_FORK else method, flags=flags)
    assert expected.status == 0, expected.err.decode()
    ran = on_workers(binding, program, method, flags=flags)
    assert ran.status == 0, ran.err.decode()
    assert ran.out.decode(errors="backslashreplace") == expected.out.decode(errors="backslashreplace")
    assert ran.err.decode() == expected.err.decode()
    assert ran.witnessed


def test_every_program_is_in_the_table(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent / "programs"
    assert sorted(path.name for path in folder.glob("*.py")) == sorted(PROGRAMS)


@pytest.mark.parametrize(
    ("program", "method", "why", "binding"),
    [
        # Beside the client there is but one file system.
        pytest.param(*line, "sandbox" if line[0].startswith("files_") else "local", id=line[0][:-3])
        for line in DIFFERENCES
    ],
    indirect=["binding"],
)
def test_a_known_difference_is_still_one(
    program: str,
    method: str,
    why: str,
    binding: Any,
    plain: Callable[..., Any],
    on_workers: Callable[..., Any],
) -> None:
    expected = plain(f"../differences/{program}", method)
    ran = on_workers(binding, f"../differences/{program}", method)
    assert (ran.err, ran.status) == (expected.err, expected.status) == (b"", 0)
    assert ran.witnessed
    assert ran.out != expected.out, f"take it off the list, it is no longer true that {why}"


def test_every_difference_is_in_the_list(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent / "differences"
    assert sorted(path.name for path in folder.glob("*.py")) == sorted(line[0] for line in DIFFERENCES)
