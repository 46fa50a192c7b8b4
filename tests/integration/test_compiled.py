"""A compiled package that only the client has, with the shared libraries that it brings along."""

from __future__ import annotations

import os
import shutil
import venv
from pathlib import Path
from typing import Any, Callable

import pytest

import transparent_mp

numpy = pytest.importorskip("numpy")
SANDBOX = Path(__file__).parents[1] / "sandbox" / "sandbox"
PACKAGE = Path(transparent_mp.__file__).resolve().parent
#: Where packages are installed, and what a worker needs of them.
NEEDED = ("cloudpickle", "hiredis", "redis", "wrapt")
PLACE = Path(numpy.__file__).parents[1]

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 and os.environ.get("CI", "false") == "false",
        reason="the sandbox makes namespaces, which needs root",
    ),
    pytest.mark.skipif(not (PLACE / "numpy.libs").is_dir(), reason="this numpy is none of a wheel for Linux"),
]

PROGRAM = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import multiprocessing as mp
    import numpy as np

    def work(number):
        import numpy.linalg, numpy.random
        return np.eye(number).sum(), np.__file__.startswith(sys.argv[1]), ORDER @ ORDER

    ORDER = np.arange(4.0)

    if __name__ == "__main__":
        for method in ("fork", "spawn"):
            with mp.get_context(method).Pool(1) as pool:
                print(method, *pool.apply(work, (3,)))
"""


def test_it_is_loaded_on_workers_that_lack_it(program: Callable[..., Any], tmp_path: Path) -> None:
    client, lean = tmp_path / "client", tmp_path / "lean"
    for path in PLACE.glob("numpy*"):
        shutil.copytree(path, client / path.name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for name in NEEDED:
        if (PLACE / name).is_dir():
            shutil.copytree(PLACE / name, lean / name)
    venv.create(tmp_path / "bare", with_pip=False)
    shown = f"--ro {tmp_path}/bare --ro {lean} --ro {PACKAGE}"
    python = f'shift && PYTHONPATH={PACKAGE.parent}:{lean} exec {tmp_path}/bare/bin/python "$@"'
    command = f"{SANDBOX} {shown} -- sh -c '{python}' sh"
    ran = program(PROGRAM, str(client), WORKERS="1", WORKER_COMMAND=command).finish()
    assert (ran.err, ran.status) == ("", 0)
    assert ran.out.splitlines() == ["fork 3.0 True 14.0", "spawn 3.0 True 14.0"]
