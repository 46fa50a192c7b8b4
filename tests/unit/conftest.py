"""Programs to be run as `__main__`, with their processes on a far side that lacks their directory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Callable

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Write files into the program's directory, run `app.py` there, answer what it printed."""

    def run(app: str, *argv: str, **files: str) -> str:
        root = tmp_path / "program"
        for name, text in {"app.py": app, **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        environ = {**os.environ, "PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{HERE}"}
        command = [sys.executable, *(argv or ("app.py",))]
        done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
