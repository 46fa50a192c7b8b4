"""Which door switches an interpreter on, seen by trying each in an interpreter like this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from transparent_mp.cli.checks.line import Line, doubtful, well, wrong

#: Says who replaces multiprocessing's leaves, which .pth file of ours this interpreter has read, and which
#: sitecustomize.
_CODE = """
import multiprocessing.context as c, os, site, sys
places = [*site.getsitepackages(), site.getusersitepackages()]
files = [os.path.join(place, "transparent_mp.pth") for place in places if place in sys.path]
print(c.ForkProcess._Popen.__module__)
print(next(filter(os.path.isfile, files), ""))
print(getattr(sys.modules.get("sitecustomize"), "__file__", None) or "")
"""
_TIMEOUT = 60
_PTH = "transparent_mp.pth"


def check() -> Iterator[Line]:
    """The doors, in the order in which one would use them."""
    yield _by_module()
    yield _by_variable()


def _by_module() -> Line:
    what = "python -m transparent_mp"
    said, complaint = _try([sys.executable, "-m", "transparent_mp", "-c", _CODE], "")
    if _is_on(said):
        return well(what, f"switches on {sys.executable}")
    return wrong(what, f"does not switch on {sys.executable}{complaint}", _complete())


def _by_variable() -> Line:
    what = "TRANSPARENT_MP=1"
    said, complaint = _try([sys.executable, "-c", _CODE], "1")
    if _is_on(said):
        return well(what, f"switches on {sys.executable}, by {_door(said)}")
    winner = said[2] if said else ""
    found = f"does not switch on {sys.executable} by itself{complaint}"
    if winner:
        found += f" (its sitecustomize is {winner})"
    return doubtful(what, found, f"use python -m transparent_mp, install the wheel ({_PTH}), or {_path()}")


def _try(command: list[str], switch: str) -> tuple[list[str], str]:
    """What the interpreter says of itself, and how it ended if not well."""
    environ = {**os.environ, "TRANSPARENT_MP": switch}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return [], f": it does not end within {_TIMEOUT} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return [], f": it ended with status {done.returncode}, saying {last!r}"
    return done.stdout.splitlines(), ""


def _is_on(said: list[str]) -> bool:
    return bool(said) and said[0].startswith("transparent_mp.")


def _door(said: list[str]) -> str:
    """What has switched it on: the .pth line runs first, and what is on is not switched on again."""
    return said[1] or said[2] or "an unknown door"


def _path() -> str:
    root = Path(__file__).parents[3]
    shipped = root / "transparent_mp" / "door"
    return f"PYTHONPATH={shipped if shipped.is_dir() else root / 'sitecustomize'}"


def _complete() -> str:
    return "install transparent-mp into this interpreter's environment again, and see what it says above"
