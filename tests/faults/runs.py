"""One run of a trial: the program, its trouble, and what is left behind.

A run is right when the program has seen what `judging` allows, has ended in time, and nothing of it is there
any more: no process, connection, file; no key a while later, for which nobody waits (`Leftovers`).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from running import last_words

import transparent_mp
from faults.conftest import Server
from faults.judging import RULES
from faults.making import MARK, Family, Maker
from faults.proxy import Proxy
from faults.trials import Trial, Trouble
from transparent_mp.store.connect import connect
from transparent_mp.worker.shelf import PREFIX

PROGRAMS = Path(__file__).parent / "programs"
PACKAGE = Path(transparent_mp.__file__).resolve().parent
#: Seconds beside the lease within which a program ends, whatever befalls it; and then what is left of it.
BOUND = 60.0
#: Seconds after which no key is left: three leases, when nobody is left to delete them.
KEYS = 90.0
#: Seconds between looks at what tells nobody when it changes.
LOOK_EVERY = 0.02
#: Descriptors that may be more after a program's body than before it: those that plain Python leaves here,
#: and links, one for each thread that has waited.
HANDLES, LINKS = 6, 4

#: Errors that end a program whose store is gone, or empty; what the client logs where nothing raises them.
_STORE_LOST = (
    "StoreError",
    "SessionLostError",
    "StoreAwayError",
    "the store is lost, and with it the processes",
)
#: Those of a program whose manager's server, or snapshot, is killed, as in plain Python.
_HELPER_LOST = ("EOFError", "ConnectionResetError", "ConnectionRefusedError", "BrokenPipe", "LostGlobal")
#: What the client logs of a worker that was frozen for too long.
_GIVEN_UP = "has not renewed its lease and is given up"


@dataclass
class Found:
    """What a run has shown. `wrong`: nothing, if all is well."""

    trial: Trial
    did: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    out: str = ""
    err: str = ""


@dataclass
class Leftovers:
    """Servers whose sessions have ended, until no key is there any more."""

    waiting: list[tuple[Found, Server, Path, float]] = field(default_factory=list)

    def add(self, found: Found, server: Server, place: Path) -> None:
        self.waiting.append((found, server, place, time.monotonic() + KEYS))

    def see(self, *, all_of_them: bool = False) -> list[Found]:
        """Let go of those that are empty; returns those that were not in time."""
        late = []
        while self.waiting:
            for one in list(self.waiting):
                found, server, place, deadline = one
                keys = ask(server, "KEYS", "*")
                if not keys or time.monotonic() > deadline:
                    self.waiting.remove(one)
                    server.kill()
                    shutil.rmtree(place)
                    if keys:
                        found.wrong.append(f"{len(keys)} keys are left: {keys[:5]}")
                        late.append(found)
            if not all_of_them:
                break
            time.sleep(LOOK_EVERY)
        return late


def ask(server: Server, *words: str) -> Any:
    """The server's reply."""
    link = connect(f"redis://127.0.0.1:{server.port}")
    try:
        link.send([words])
        return link.read()
    finally:
        link.close()


@contextmanager
def in_directory(place: Path) -> Iterator[Path]:
    """A program's own, with its modules and a place for temporary files."""
    inside = place / "program"
    shutil.copytree(PROGRAMS, inside, ignore=shutil.ignore_patterns("__pycache__"))
    (inside / "tmp").mkdir()
    yield inside
    shutil.rmtree(inside)


def run(trial: Trial, leftovers: Leftovers) -> Found:
    """One run; the keys that it leaves are seen to by `leftovers`."""
    found = Found(trial)
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    (place / "data").mkdir()
    # What a killed server has written is in the system's memory: it need not be on the disk.
    server = Server(place / "data", "--appendfsync", "no")
    server.start()
    with Proxy(("127.0.0.1", server.port)) as proxy, in_directory(place) as directory:
        maker = Maker(trial, proxy, server)
        _observe(found, trial, maker, proxy, directory)
        found.did = maker.did
        if trial.trouble is Trouble.GONE and maker.did:
            server.forget()
            server.start()
        deadline = time.monotonic() + BOUND
        while (open_ := proxy.connections()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        if open_:
            found.wrong.append(f"{open_} connections are left")
    leftovers.add(found, server, place)
    return found


def _observe(found: Found, trial: Trial, maker: Maker, proxy: Proxy, directory: Path) -> None:
    mark = secrets.token_hex(8)
    before = set(os.listdir("/dev/shm"))
    begun = time.monotonic()
    program = start(trial.program, (trial.method,), proxy, directory, mark, trial.lease)
    family = Family(mark, program.pid)
    maker.begin(family)
    try:
        found.out, found.err = program.communicate(timeout=BOUND + 2 * trial.lease)
    except subprocess.TimeoutExpired:
        left = family.kinds()
        # Where it stands.
        stop(program.pid, signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            program.wait(BOUND)
        found.err = last_words(program)
        found.wrong.append(f"it hangs; there are {sorted(left.values())}")
        for pid in left:
            stop(pid)
    found.seconds = time.monotonic() - begun
    maker.end()
    if not found.wrong:
        found.wrong += judge(
            trial, maker.befallen if maker.did else "", program.returncode, found.out, found.err
        )
    deadline = time.monotonic() + BOUND
    while (left := family.kinds()) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
    for pid in left:
        stop(pid)
    if left:
        found.wrong.append(f"left are {sorted(left.values())}")
    # Code for later sessions; the shelf of a worker that was killed, which the next one removes.
    kept = ("transparent_mp-code-", *((PREFIX,) if maker.befallen == "worker" else ()))
    files = {path.name for path in (directory / "tmp").iterdir() if not path.name.startswith(kept)}
    files |= {name for name in set(os.listdir("/dev/shm")) - before if mark in name}
    # As in plain Python, where whoever is killed leaves them too.
    if files and not (maker.befallen in ("client", "helper") and trial.trouble is Trouble.KILL):
        found.wrong.append(f"files are left: {sorted(files)}")


def start(
    name: str, args: tuple[str, ...], proxy: Proxy, directory: Path, mark: str, lease: float
) -> subprocess.Popen[str]:
    """Start one of the programs."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
    if str(PACKAGE.parent) not in site.getsitepackages():
        clean["PYTHONPATH"] = str(PACKAGE.parent)
    ours = {
        "TRANSPARENT_MP_REDIS_URL": proxy.url(),
        "TRANSPARENT_MP_WORKERS": "2",
        "TRANSPARENT_MP_LEASE": str(lease),
        "TMPDIR": str(directory / "tmp"),
        MARK: mark,
        "PYTHONFAULTHANDLER": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "transparent_mp", f"{name}.py", *args],
        cwd=directory,
        env={**clean, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send that signal; whether there was somebody."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def judge(trial: Trial, befallen: str, status: int | None, out: str, err: str) -> list[str]:
    """What is wrong with what a program has seen."""
    fatal = trial.trouble in (Trouble.KILL, Trouble.FREEZE_LONG)
    if befallen == "client" and trial.trouble is Trouble.KILL and status == -9:
        return []
    dead = {"process": 1, "worker": 3}.get(befallen, 0) if fatal else 0
    told: tuple[str, ...] = ()
    if trial.trouble in (Trouble.RESTART_EMPTY, Trouble.GONE):
        told = _STORE_LOST
    elif fatal and befallen == "helper":
        told = _HELPER_LOST
    elif fatal and befallen == "worker":
        told = ("LaunchError",) if status else (_GIVEN_UP,)
    if any(name in err for name in told):
        if status:
            return []
        # What was there at the end is right all the same; its processes may have ended with the store.
        dead, err = 3, ""
    if status or err:
        return [f"status {status}: {err.strip().rpartition(chr(10))[2][-300:]}"]
    said = json.loads(out)
    wrong = RULES[trial.program](said["facts"], dead)
    (others, links), (others_now, links_now) = said["handles"]
    if others_now - others > HANDLES or links_now - links > LINKS:
        wrong.append(f"descriptors and links were {others}, {links} and are {others_now}, {links_now}")
    return wrong
