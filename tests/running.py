"""How a test sees that a process has ended; how a program that hangs is, and what it had said until then."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import Any

#: Seconds for the pipes to close once the program is killed. What it has started may hold them open for
#: ever (children of plain Python's fork do), and no test waits for that.
GRACE = 20


def last_words(program: subprocess.Popen[Any]) -> str:
    """Kill the program, with its group when it leads one; both its outputs, as far as they came."""
    if program.poll() is None and os.getpgid(program.pid) == program.pid:
        os.killpg(program.pid, signal.SIGKILL)
    program.kill()
    try:
        said = program.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired as cut:
        said = (cut.output, cut.stderr)
        for pipe in (program.stdin, program.stdout, program.stderr):
            if pipe is not None:
                pipe.close()
    program.wait(GRACE)
    return "\n".join(
        text.decode(errors="replace") if isinstance(text, bytes) else text for text in said if text
    )


def gone(pid: int, within: float) -> bool:
    """Whether that process has ended, at the latest after so many seconds."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], within)[0])
    finally:
        os.close(fd)
