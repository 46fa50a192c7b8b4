from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Callable

import pytest

import transparent_mp

ROOT = Path(transparent_mp.__file__).resolve().parent.parent

#: Modules that stand for other people's, and replacements for what they define.
STAGE = {
    "foreign/__init__.py": "",
    "foreign/leaf.py": """
        class Thing:
            who = "plain"
            def __getstate__(self):
                return "plain state"
        def make():
            return Thing()
        def untouched():
            return "plain"
        LOADER_WHILE_EXECUTED = type(__loader__).__name__, type(__spec__.loader).__name__
        """,
    "foreign/branch.py": """
        from foreign.leaf import Thing, make
        from foreign import leaf
        """,
    "ours.py": """
        from foreign.leaf import Thing as PlainThing, make as plain_make
        import foreign.leaf
        AS_SEEN = foreign.leaf.Thing.who
        class Thing(PlainThing):
            who = "ours"
        def make():
            return "ours, not " + PlainThing.who
        def getstate(self):
            return "our state"
        def kill(pid, signal):
            return "our kill"
        """,
}

PREAMBLE = """
import sys
from transparent_mp import intercept
from transparent_mp.intercept.patches import Patch
TABLE = (
    Patch("foreign.leaf", "Thing.__getstate__", "ours:getstate", "test"),
    Patch("foreign.leaf", "Thing", "ours:Thing", "test"),
    Patch("foreign.leaf", "make", "ours:make", "test"),
)
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a fresh interpreter, on the stage, with TABLE at hand."""
    for name, text in STAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def run(
        code: str, files: dict[str, str] | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(textwrap.dedent(text))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(code)],
            env={**clean, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def passes(fresh: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., None]:
    """Run code in a fresh interpreter; its assertions hold, and it says nothing."""

    def run(code: str, files: dict[str, str] | None = None, **environ: str) -> None:
        done = fresh(code, files, **environ)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    return run
