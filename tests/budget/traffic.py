"""What cases of a program move through the store; how a test runs such a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import transparent_mp

HERE = Path(__file__).parent


def traffic(program: str, size: int, workers: int) -> dict[str, Any]:
    """What a program here, run with that size as its argument, has told."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    root = str(Path(transparent_mp.__file__).parents[1])
    environ.update(PYTHONPATH=root, TRANSPARENT_MP_LEASE="600", TRANSPARENT_MP_WORKERS=str(workers))
    command = [sys.executable, "-m", "transparent_mp", str(HERE / program), str(size)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


def tell(cases: dict[str, Callable[[], Any]]) -> None:
    """Run the cases and print {case: {"in", "out": bytes into the store and out of it, "result"}}."""
    found: dict[str, Any] = {}
    for name, run in cases.items():
        before = _moved()
        result = run()
        after = _moved()
        found[name] = {"in": after[0] - before[0], "out": after[1] - before[1], "result": result}
    json.dump(found, sys.stdout)


def _moved() -> tuple[int, int]:
    from transparent_mp.primitives import session as sessions

    text = sessions.current().store.ask("INFO", "stats").decode()
    stats = dict(line.split(":") for line in text.splitlines() if ":" in line)
    return int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])
