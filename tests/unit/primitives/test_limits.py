"""Each in a child, whose limits end with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def told(code: str) -> str:
    begin = f"import sys, resource, signal; sys.path.append({str(ROOT)!r})\n"
    begin += "from transparent_mp.primitives import limits\n"
    command = [sys.executable, "-c", begin + code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_soft_limits_are_set_as_far_as_the_machine_allows() -> None:
    code = """
files = resource.RLIMIT_NOFILE
resource.setrlimit(files, (100, 200))
seen = limits.limits()[files]
limits.set_limits({files: (150, 10**6)})
first = resource.getrlimit(files)
limits.set_limits({files: (10**5, 10**6)})
second = resource.getrlimit(files)
limits.set_limits({files: (resource.RLIM_INFINITY, resource.RLIM_INFINITY)})
print(seen, first, second, resource.getrlimit(files))
"""
    assert told(code) == "(100, 200) (150, 200) (200, 200) (200, 200)"


def test_niceness_goes_up_only() -> None:
    code = "now = limits.niceness(); limits.set_niceness(now + 2); limits.set_niceness(now)\n"
    assert told(code + "print(limits.niceness() - now)") == "2"


def test_blocked_signals() -> None:
    code = "limits.block([10, 12]); seen = limits.blocked(); limits.block([])\n"
    assert told(code + "print(seen, limits.blocked())") == "[10, 12] []"
