"""What a process has of its parent's settings, shown by a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Sets, captures, and lets a fresh interpreter apply and print.
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
{set}
import base64, json, subprocess
from transparent_mp.primitives import settings
captured = settings.capture()
values = json.dumps({{k: base64.b64encode(v).decode() for k, v in captured.values.items()}})
code = '''
import sys, json, base64
sys.path.insert(0, sys.argv[1])
from transparent_mp.primitives import settings
settings.apply({{k: base64.b64decode(v) for k, v in json.loads(sys.argv[2]).items()}})
''' + {look!r}
command = [sys.executable, "-c", code, {root!r}, values]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
"""


def over_there(set_: str, look: str) -> str:
    program = PROGRAM.format(root=str(ROOT), set=set_, look=look)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
