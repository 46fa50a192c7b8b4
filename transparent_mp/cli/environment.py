"""`python -m transparent_mp.cli.environment`: forks a supervisor for each line of its input.

Serves `cli.handler`. It has been patched as a worker and has imported what every process needs; a
supervisor begins from that, and nothing flows back but its answer, so each begins alike.
Orphans of an invocation become this process's children, by which it finds and kills them.

It does not know what an invocation is, nor AWS.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

from transparent_mp.cli import worker
from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.hidden import Hiding
from transparent_mp.ship.frames import encode
from transparent_mp.store.session import join, new_id

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Serve orders until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    # What else is printed here belongs to the log.
    os.dup2(2, 1)
    # `-m` puts the current directory in front, where a program's own modules may lie.
    sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
    place = Path(tempfile.gettempdir())
    # On Lambda it is. What others use, too, as where AWS' emulator runs beside them, is not ours to clear.
    own = (place,) if _is_empty(place) else ()
    worker.prepare()
    # After what patches ctypes.
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    # Not through sys.stdin's iterator: its buffer would be forked along.
    while line := sys.stdin.buffer.readline():
        print(json.dumps(_serve(json.loads(line), own)), file=answers, flush=True)


def _serve(order: dict[str, Any], own: Iterable[Path]) -> dict[str, Any]:
    """`own`: directories that nobody else uses."""
    if "probe" in order:
        return _in_child(lambda: _examined(order))[0]
    with contextlib.ExitStack() as stack:
        for place in own:
            stack.enter_context(_clean_directory(place))
        answer, status = _in_child(lambda: supervise(order))
        _kill_orphans()
    if status:
        why = f"its supervisor ended with status {status}: see the function's log, and its memory"
        answer = {"error": f"worker {order['ticket']['worker']} failed: {why}"}
        _in_child(lambda: report(order["ticket"], why))
    return answer


def supervise(order: dict[str, Any]) -> dict[str, Any]:
    """Be a worker for a ticket; says what it did."""
    ticket = Hiding(order["ticket"])
    worker.log_as(ticket["log"])
    session = join(
        ticket, new_id(), Config(lease=ticket["lease"], log=ticket["log"]), ("worker", ticket["worker"])
    )
    begun = time.monotonic()
    processes = worker.serve(ticket, session, life=order["until"] - begun)
    session.store.close()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = round(time.monotonic() - begun, 3)
    return {"processes": processes, "seconds": seconds, "peak_mb": peak // 1024}


def report(ticket: dict[str, Any], why: str) -> dict[str, Any]:
    """Tell the client that a worker has failed; its lease would say so later."""
    session = join(
        ticket, new_id(), Config(lease=ticket["lease"], log=ticket["log"]), ("worker", ticket["worker"])
    )
    frame = encode({"kind": "gone", "worker": ticket["worker"], "why": why})
    session.store.call(*session.push_event(session.client, frame))
    return {}


def _examined(order: dict[str, Any]) -> dict[str, Any]:
    # Only in the fork: no worker needs what it imports.
    from transparent_mp.worker.examination import examine

    return examine(order)


def _in_child(body: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], int]:
    """Run it in a fork; its answer, and the fork's exit code."""
    reader, writer = os.pipe()
    mother = os.getpid()
    child = os.fork()
    if child == 0:
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        code = 1
        try:
            os.close(reader)
            # The orders are not for processes to read.
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if os.getppid() == mother:
                answer = json.dumps(body()).encode()
                os.write(writer, answer)
                code = 0
        except StoreError as error:
            sys.stderr.write(f"transparent_mp: {error}\n")
        except BaseException:  # noqa: BLE001  the fork ends here, whatever it was
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        # Its processes have the pipe too: not to its end, which an orphan would hold up.
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.set_blocking(reader, False)
        answer = file.read() or b""
    return json.loads(answer) if answer else {}, status


def _kill_orphans() -> None:
    """End what a program's processes have left behind them."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            # Each that ends here may leave children of its own to us.
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == os.getpid():
                found.append(int(entry))
    return found


def _is_empty(place: Path) -> bool:
    """Whether nothing is in the directory but what is mounted there."""
    found = list(place.iterdir())
    if not found:
        return True
    mounted = [line.split()[4] + "/" for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return all(any(each.startswith(f"{path}/") for each in mounted) for path in found)


@contextlib.contextmanager
def _clean_directory(place: Path) -> Any:
    """What comes into the directory meanwhile goes at the end."""
    before = set(place.iterdir())
    try:
        yield
    finally:
        for path in set(place.iterdir()) - before:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _control(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    main()
