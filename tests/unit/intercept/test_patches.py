from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections import Counter

import pytest

from transparent_mp.intercept.patches import SIDES, TABLE, Patch

#: Looks a name up as `apply` does, in an interpreter that is not switched on.
DEFINES = """
import importlib, operator, sys
module, name, optional = sys.argv[1:]
try:
    value = operator.attrgetter(name)(importlib.import_module(module))
except AttributeError:
    if optional == "False":
        raise
    sys.exit(f"no {module}.{name} here")
home = getattr(value, "__module__", module)
# Modules in C, whose own code takes the name from elsewhere than where a program does.
in_c = "posix", "nt", "io", "_io", "_ctypes", "pyarrow._fs"
assert home in (module, *in_c), f"{name} is defined in {home}: patch it there"
"""


def test_no_name_is_replaced_twice_on_one_side() -> None:
    names = Counter((row.module, row.name, side) for row in TABLE for side in row.sides)
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("row", TABLE, ids=repr)
def test_row_is_well_formed(row: Patch) -> None:
    module, _, attribute = row.replacement.partition(":")
    ours = ("transparent_mp.primitives.", "transparent_mp.background", "transparent_mp.worker.")
    assert module.startswith(ours)
    assert attribute.isidentifier()
    assert row.why.strip()
    assert row.sides
    assert set(row.sides) <= set(SIDES)


@pytest.mark.parametrize("row", TABLE, ids=repr)
def test_module_defines_the_name_in_plain_python(row: Patch) -> None:
    library = row.module.partition(".")[0]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if row.optional and importlib.util.find_spec(row.module) is None:
        pytest.skip(f"no {row.module} here")
    done = subprocess.run(
        [sys.executable, "-I", "-c", DEFINES, row.module, row.name, str(row.optional)],
        capture_output=True,
        text=True,
    )
    if row.optional and done.stderr.startswith("no "):
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")


def test_only_functions_of_modules_there_at_start_up_are_lazy() -> None:
    assert {row.module for row in TABLE if row.lazy} == {"_thread", "os"}


def test_rows_of_modules_there_at_start_up_are_lazy_on_the_client() -> None:
    code = "import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    there = set(done.stdout.split())
    assert [row for row in TABLE if row.module in there and "client" in row.sides and not row.lazy] == []


@pytest.mark.parametrize("row", TABLE, ids=repr)
def test_replacement_exists(row: Patch) -> None:
    module, _, attribute = row.replacement.partition(":")
    assert hasattr(importlib.import_module(module), attribute)


#: The library's modules that a program imports by itself, in the order of its own choosing.
LIBRARY = sorted({row.module for row in TABLE if row.module.startswith(("multiprocessing.", "concurrent."))})

#: What was put into a module that is the first, and what it should have been.
FIRST = """
import importlib, operator, sys
from transparent_mp import intercept
from transparent_mp.intercept.patches import TABLE
module, side = sys.argv[1:]
intercept.install(side)
loaded = importlib.import_module(module)
for row in TABLE:
    if row.module == module and side in row.sides and not row.optional:
        value = operator.attrgetter(row.name)(loaded)
        assert value is not intercept.original(module, row.name), f"{row.name} is as it was"
"""


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("module", LIBRARY)
def test_any_of_the_library_s_modules_may_be_imported_first(module: str, side: str) -> None:
    command = [sys.executable, "-c", FIRST, module, side]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
