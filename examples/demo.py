"""Runs each program beside this file under plain Python and under transparent_mp, and compares.

    python examples/demo.py [--on local] [--on sandbox] [--on lambda] [PROGRAM ...]

`local` workers are processes of this machine; `sandbox` ones live in tests/sandbox/sandbox, where
neither the project's directory nor /dev/shm is there (needs root; left out, with the reason, when
it is not asked for by name); `lambda` ones, if asked for, are invocations of TRANSPARENT_MP_FUNCTION.
For each run: what the program printed, the seconds it took, and where its processes ran.
TRANSPARENT_MP_* variables that are set apply to the runs on workers.

Exit status 1 if a program failed, printed something else than under plain Python, or had no
process on a worker.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SANDBOX = HERE.parent / "tests" / "sandbox" / "sandbox"
PROGRAMS = ("dataframe.py", "grid_search.py", "es.py")
PREFIX = "TRANSPARENT_MP"


class Run(NamedTuple):
    """One program, run once."""

    status: int
    output: str
    errors: str
    seconds: float
    #: (worker, host) -> names of the processes that ran there
    places: dict[tuple[str, str], list[str]]


def run(words: list[str], environ: dict[str, str], limit: float) -> Run:
    """Run a program in this directory, its whole process group killed after `limit` seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        witness = Path(scratch) / "witness"
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, *words],
            # The project's directory holds transparent_mp/ as source: the installed one is meant.
            cwd=HERE,
            env={**environ, f"{PREFIX}_WITNESS": str(witness)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, errors = child.communicate()
            errors += f"\nkilled: no end within {limit:.0f} seconds"
        seconds = time.monotonic() - began
        return Run(child.returncode, output, errors, seconds, read_witness(witness))


def read_witness(path: Path) -> dict[tuple[str, str], list[str]]:
    """Where each process ran, by the file that TRANSPARENT_MP_WITNESS names."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    if path.exists():
        for line in path.read_text().splitlines():
            _session, process, worker, host = line.split("\t")
            places[worker, host].append(process)
    return dict(places)


def verdict(plain: Run, ours: Run) -> str:
    """What is wrong with a run on workers, compared with the plain one; empty if nothing is."""
    if ours.status != 0:
        return f"FAILED: exit status {ours.status}"
    if ours.output != plain.output:
        return "FAILED: another result than under plain Python"
    if not ours.places:
        return "FAILED: no process ran on a worker"
    return ""


def indented(text: str, mark: str = "    ") -> str:
    return "".join(f"{mark}{line}\n" for line in text.splitlines())


def report(plain: Run, ours: Run, where: str) -> bool:
    """Print how a run on workers went; true if it went well."""
    wrong = verdict(plain, ours)
    print(f"  {where:16} {ours.seconds:6.1f} s  {wrong or 'same result'}", flush=True)
    if wrong:
        if ours.output != plain.output:
            print(indented(ours.output), end="")
        print(indented("\n".join(ours.errors.strip().splitlines()[-15:]), "    | "), end="")
    for (worker, host), processes in sorted(ours.places.items()):
        print(f"    worker {worker} on {host}: {', '.join(processes)}")
    return not wrong


def compare(program: str, kinds: dict[str, dict[str, str]], limit: float) -> bool:
    """Run one program under plain Python and on each kind of worker; true if all went well."""
    print(f"{program}: {(HERE / program).read_text().splitlines()[0].strip(chr(34))}")
    plain_environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    plain = run([program], plain_environ, limit)
    print(indented(plain.output), end="")
    print(f"  {'plain Python':16} {plain.seconds:6.1f} s", flush=True)
    if plain.status != 0:
        print(indented(plain.errors, "    | "), end="")
        return False
    good = True
    for kind, settings in kinds.items():
        # The programs ask for four processes, so the session has room for four.
        environ = {f"{PREFIX}_WORKERS": "4", **os.environ, **settings}
        good &= report(plain, run(["-m", "transparent_mp", program], environ, limit), f"{kind} workers")
    print()
    return good


def sandbox_trouble() -> str:
    """Why no worker can live in the sandbox here; empty if one can."""
    try:
        tried = subprocess.run([SANDBOX, "--", "true"], capture_output=True, text=True, timeout=30)
    except OSError as error:
        return str(error)
    if tried.returncode == 0:
        return ""
    return (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", default=PROGRAMS)
    parser.add_argument("--on", action="append", choices=("local", "sandbox", "lambda"))
    parser.add_argument("--limit", type=float, default=180, help="seconds that one run may take")
    options = parser.parse_args()
    asked = options.on or ["local", "sandbox"]
    kinds: dict[str, dict[str, str]] = {}
    if "local" in asked:
        kinds["local"] = {}
    if "lambda" in asked:
        kinds["lambda"] = {f"{PREFIX}_BACKEND": "lambda"}
    if "sandbox" in asked:
        trouble = sandbox_trouble()
        if not trouble:
            command = shlex.join([str(SANDBOX), "--ro", sys.prefix, "--"])
            kinds["sandbox"] = {f"{PREFIX}_WORKER_COMMAND": command}
        elif options.on:
            print(f"no worker can live in the sandbox here: {trouble}", file=sys.stderr)
            return 1
        else:
            print(f"(no runs in the sandbox, which needs root: {trouble})\n")
    failed = [program for program in options.programs if not compare(program, kinds, options.limit)]
    print(f"failed: {', '.join(failed)}" if failed else "every program printed what plain Python prints")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
