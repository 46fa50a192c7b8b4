"""Imports run downward only, and each foreign library has one layer that may import it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "transparent_mp"

#: From the lowest to the highest; a module may import its own layer and those before it.
LAYERS = (
    "errors",
    "hidden",
    "json_text",
    "originals",
    "shadows",
    "background",
    "collector",
    "config",
    "store",
    "launch",
    "ship",
    "primitives",
    "worker",
    "intercept",
    "cli",
)
#: Above all layers: the package's command, and what interpreters run at start-up.
DOORS = ("__main__", "sitecustomize")

#: Library -> the places, as path prefixes below the package, that may import it.
OWNERS = {
    "redis": ("store/",),
    "hiredis": ("store/",),
    "boto3": ("launch/aws.py", "launch/clients.py"),
    "botocore": ("launch/aws.py", "launch/clients.py", "launch/invoking.py"),
}

#: These run before the program has imported anything. Importing multiprocessing (or what pulls it
#: in) there would cost every interpreter its time, and come before the hooks that wait for it.
START_UP = (
    "__init__.py",
    "__main__.py",
    "config.py",
    "errors.py",
    "hidden.py",
    "originals.py",
    "shadows.py",
    "intercept/__init__.py",
    "intercept/apply.py",
    "intercept/finder.py",
    "intercept/patches.py",
)

LONGEST = 400


class Import(NamedTuple):
    """One imported module or name; `deferred` if inside a function or under TYPE_CHECKING."""

    line: int
    name: str
    deferred: bool


def imports(source: str, module: str, is_package: bool) -> Iterator[Import]:
    """All imports of a module: inside functions, for types only, and by name through importlib.

    `from a import b` gives `a.b`, since b may be a module.
    """
    yield from _imports(ast.parse(source), module.split(".") if is_package else module.split(".")[:-1], False)


def _imports(node: ast.AST, package: list[str], deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(child.lineno, alias.name, deferred)
        elif isinstance(child, ast.ImportFrom):
            base = package[: len(package) - child.level + 1] if child.level else []
            origin = ".".join([*base, *([child.module] if child.module else [])])
            for alias in child.names:
                yield Import(child.lineno, f"{origin}.{alias.name}", deferred)
        elif isinstance(child, ast.Call) and _imports_by_name(child):
            yield Import(child.lineno, child.args[0].value, deferred)
        inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, package, deferred or inner or _for_types_only(child))


def _imports_by_name(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return (
        name in ("import_module", "__import__")
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    )


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def module_name(path: str) -> str:
    """Dotted name of a file, given its path below the repository."""
    parts = path[: -len(".py")].split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(name: str) -> str | None:
    """The layer of a module of ours; None for the package itself, which stands below all."""
    parts = name.split(".")
    if parts[0] == "sitecustomize":
        return "sitecustomize"
    return parts[1] if len(parts) > 1 else None


def height(name: str) -> int:
    """Where a layer stands; the package itself, with its version and docstring, lowest."""
    found = layer(name)
    if found is None:
        return -1
    order = (*LAYERS, *DOORS)
    assert found in order, f"{name} is in no layer: give `{found}` its place in LAYERS"
    return min(order.index(found), len(LAYERS))


def upward(path: str, source: str) -> list[str]:
    """Imports of a file that go up."""
    module = module_name(path)
    found = []
    for line, name, _ in imports(source, module, path.endswith("/__init__.py")):
        parts = name.split(".")
        # `from transparent_mp import __version__` names no module.
        ours = parts[0] == PACKAGE and len(parts) > 1 and parts[1] in (*LAYERS, *DOORS)
        unknown = parts[0] == PACKAGE and len(parts) > 2 and not ours
        if unknown or (ours and height(name) > height(module)):
            found.append(f"{path}:{line} imports {name}")
    return found


def trespassing(path: str, source: str) -> list[str]:
    """Imports of a file that belong to another place."""
    below = path.partition("/")[2]
    module = module_name(path)
    return [
        f"{path}:{line} imports {name}"
        for line, name, _ in imports(source, module, path.endswith("/__init__.py"))
        if name.split(".")[0] in OWNERS and not below.startswith(OWNERS[name.split(".")[0]])
    ]


def eager(path: str, source: str) -> list[str]:
    """Imports of multiprocessing or concurrent.futures that run when the file is imported."""
    module = module_name(path)
    return [
        f"{path}:{line} imports {name}"
        for line, name, deferred in imports(source, module, path.endswith("/__init__.py"))
        if name.split(".")[0] in ("multiprocessing", "concurrent", "_multiprocessing") and not deferred
    ]


def files() -> list[str]:
    found = [path for top in (PACKAGE, "sitecustomize") for path in (ROOT / top).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


each_file = pytest.mark.parametrize("path", files())


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@each_file
def test_imports_run_downward_only(path: str) -> None:
    assert upward(path, read(path)) == []


@each_file
def test_a_library_is_imported_by_its_owner_only(path: str) -> None:
    assert trespassing(path, read(path)) == []


@pytest.mark.parametrize(
    "path", [p for p in files() if p.partition("/")[2] in START_UP or p.startswith("site")]
)
def test_start_up_leaves_multiprocessing_alone(path: str) -> None:
    assert eager(path, read(path)) == []


@each_file
def test_a_file_stays_short(path: str) -> None:
    assert len(read(path).splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "source",
    [
        "from transparent_mp.worker import supervisor",
        "from transparent_mp import intercept",
        "import transparent_mp.cli.run",
        "from ..worker import supervisor",
        "def late():\n    from transparent_mp.primitives import pool",
        "if TYPE_CHECKING:\n    from transparent_mp.ship import modules",
        "importlib.import_module('transparent_mp.launch.local')",
        "import transparent_mp.nowhere.new",
        "import transparent_mp.__main__",
    ],
)
def test_an_upward_import_is_found(source: str) -> None:
    assert len(upward("transparent_mp/store/links.py", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from transparent_mp import __version__",
        "from transparent_mp.errors import StoreError",
        "from ..config import Config",
        "from . import keys",
        "import json, redis.connection, hiredis",
    ],
)
def test_a_downward_import_is_none(source: str) -> None:
    assert upward("transparent_mp/store/links.py", source) == []


def test_config_stands_above_errors_and_the_package_below_all() -> None:
    assert upward("transparent_mp/errors.py", "import transparent_mp.config")
    assert upward("transparent_mp/__init__.py", "from transparent_mp.errors import ConfigError")
    assert not upward("transparent_mp/config.py", "from transparent_mp.errors import ConfigError")
    assert not upward("sitecustomize/sitecustomize.py", "from transparent_mp.cli import main")


@pytest.mark.parametrize(
    "source", ["import redis", "from hiredis import Reader", "def f():\n    import boto3"]
)
def test_a_trespassing_import_is_found(source: str) -> None:
    assert len(trespassing("transparent_mp/launch/local.py", source)) == 1


def test_an_eager_import_is_found_and_a_deferred_one_is_not() -> None:
    path = "transparent_mp/intercept/finder.py"
    assert eager(path, "try:\n    from multiprocessing import context\nexcept ImportError:\n    raise")
    assert eager(path, "class A:\n    import concurrent.futures")
    assert not eager(path, "def f():\n    import multiprocessing")
    assert not eager(path, "if TYPE_CHECKING:\n    import multiprocessing")
