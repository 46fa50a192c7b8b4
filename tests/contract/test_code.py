"""A program's code is on workers, however it was started and wherever its modules lie.

The programs in `code/` are run in a copy of that directory, which workers in the sandbox do not have.
"""

from __future__ import annotations

import shutil
import zipapp
from pathlib import Path
from typing import Any, Callable

import pytest

BOTH = ("fork", "spawn")

COMMAND = """
import multiprocessing as mp, sys, traceback
import stock.parts
def work(number):
    try:
        stock.parts.fail(number)
    except ZeroDivisionError:
        return __name__, hasattr(sys.modules["__main__"], "__file__"), traceback.format_exc()
with mp.get_context(sys.argv[1]).Pool(1) as pool:
    print(*pool.apply(work, (0,)))
"""

TYPED = """
import multiprocessing as mp, sys
context = mp.get_context("fork")
factor = 3
def work(number):
    return number * factor, sys.argv[1:]

with context.Pool(2) as pool:
    print(pool.map(work, range(4)))

factor = 10
class Shape:
    def __init__(self, sides):
        self.sides = sides

def larger(shape):
    return Shape(shape.sides * factor)

with context.Pool(2) as pool:
    shapes = pool.map(larger, [Shape(1), Shape(2)])

print([shape.sides for shape in shapes], {type(shape) is Shape for shape in shapes})
process = context.Process(target=lambda: print("a lambda", factor))
process.start()
process.join()
"""

#: Flags and words behind `python`, and the start methods with which the program works under plain Python.
RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "script": ((), ("main.py",), BOTH),
    "module": ((), ("-m", "shop.main"), BOTH),
    "package": ((), ("-m", "shop"), ("fork",)),
    "directory": ((), ("application",), ("fork",)),
    "archive": ((), ("application.pyz",), ("fork",)),
    "command": ((), ("-c", COMMAND), ("fork",)),
    "path": ((), ("archive.py",), BOTH),
    "resources": ((), ("resources.py",), BOTH),
    "runtime": ((), ("runtime.py",), ("fork",)),
    "reference": ((), ("by_reference.py",), BOTH),
    "notebook": ((), ("notebook.py",), ("fork",)),
    "adding": ((), ("adding.py",), BOTH),
    "hiding": ((), ("hiding.py",), BOTH),
    "shadows": ((), ("shadows/main.py",), BOTH),
    "failing": ((), ("failing.py",), BOTH),
    "models": ((), ("models.py",), BOTH),
    "evolving": ((), ("evolving.py",), BOTH),
    "registering": ((), ("registering.py",), ("fork",)),
    "settings": ((), ("settings.py",), BOTH),
    "registered": ((), ("registered.py",), ("fork",)),
    "optimized": (("-O", "-b"), ("settings.py",), ("fork",)),
}

#: What a run needs that may not be in the environment of the tests; without it, it is not made.
NEEDS = {"models": "pydantic", "evolving": "deap"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, in a directory of the client's alone."""
    tree = tmp_path_factory.mktemp("code") / "tree"
    shutil.copytree(Path(__file__).parent / "code", tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "application").mkdir()
    for place in ("application/__main__.py", "shop/__main__.py", "shop/main.py"):
        shutil.copy(tree / "main.py", tree / place)
    shutil.copytree(tree / "stock", tree / "application" / "stock")
    zipapp.create_archive(tree / "application", tree / "application.pyz")
    return tree


@pytest.mark.parametrize("binding", ["local", "sandbox"], indirect=True)
@pytest.mark.parametrize(
    ("run", "method"), [(name, method) for name, (*_, methods) in RUNS.items() for method in methods]
)
def test_it_prints_what_it_prints_under_plain_python(
    run: str,
    method: str,
    binding: Any,
    tree: Path,
    plain: Callable[..., Any],
    on_workers: Callable[..., Any],
) -> None:
    if run in NEEDS:
        pytest.importorskip(NEEDS[run])
    flags, words, _ = RUNS[run]
    expected = plain(*words, method, cwd=tree, flags=flags)
    ran = on_workers(binding, *words, method, cwd=tree, flags=flags)
    assert ran.out.decode() == expected.out.decode()
    assert ran.err.decode() == expected.err.decode()
    assert ran.status == expected.status == 0
    assert ran.witnessed


@pytest.mark.parametrize("binding", ["local", "sandbox"], indirect=True)
@pytest.mark.parametrize(
    ("flags", "words"),
    [((), ("-", "argument")), (("-q", "-i"), ()), (("-q", "-i"), ("quiet.py",))],
    ids=["stdin", "prompt", "behind"],
)
def test_what_is_typed_is_there(
    flags: tuple[str, ...],
    words: tuple[str, ...],
    binding: Any,
    tree: Path,
    plain: Callable[..., Any],
    on_workers: Callable[..., Any],
) -> None:
    expected = plain(*words, cwd=tree, flags=flags, typed=TYPED)
    ran = on_workers(binding, *words, cwd=tree, flags=flags, typed=TYPED)
    assert ran.out.decode() == expected.out.decode()
    assert ran.err.decode() == expected.err.decode()
    assert ran.status == expected.status == 0
    assert ran.witnessed


@pytest.mark.parametrize("binding", ["sandbox"], indirect=True)
def test_cells_of_a_notebook_are_there(binding: Any, tree: Path, on_workers: Callable[..., Any]) -> None:
    """With the true kernel, where there is one; `code/notebook.py` is what stands for it elsewhere."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    ran = on_workers(binding, "kernel.py", cwd=tree)
    # The kernel has words of its own for stderr.
    assert "Traceback" not in ran.err.decode()
    assert ran.status == 0
    assert ran.out.decode().splitlines() == ["[0, 3, 6]", "[0, 10, 20] True", "('In', 'cell')"]
    assert ran.witnessed


def test_every_program_is_run(tree: Path) -> None:
    run = {word for _, words, _ in RUNS.values() for word in words if Path(word).suffix == ".py"}
    modules = {"kernel.py", "quiet.py", "broken.py", "changing.py", "raises.py", "statistics.py", "wants.py"}
    assert {path.name for path in tree.glob("*.py")} - modules == run - {"shadows/main.py"}
