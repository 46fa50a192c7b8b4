"""One run: every operation, in every variant, interleaved round by round; medians.

    ours       python -m transparent_mp measure.py     r is taken in this process, on a socket of its own
    fork       python measure.py                       plain Python
    spawn      the same, spawned
    lithops    lithops.multiprocessing, if it is installed

Each variant is one process for the whole run; it idles while another measures. A variant whose
operation fails or takes longer than --patience is started anew and the operation is left out there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import selectors
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench import proxy, report
from tests.bench.rows import BY_NAME, ROWS, Row
from transparent_mp.store import server

HERE = Path(__file__).parent
OURS = "ours"
#: Seconds a variant has to leave when its input ends, before its group is killed.
LEAVE = 10.0


class Variant:
    """One way to run the measuring script, and the process that does."""

    def __init__(self, name: str, environ: dict[str, str], prefix: tuple[str, ...], patience: float) -> None:
        self.name = name
        self._environ = {**os.environ, **environ}
        self._prefix = prefix
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None

    def ask(self, *words: str) -> dict[str, Any]:
        """What the script answers; {"error": ...} when it does not."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(" ".join(words) + "\n")
            process.stdin.flush()
            answer = self._answer(process)
        except BrokenPipeError:
            answer = {"error": "the measuring process has ended"}
        if "error" in answer:
            self._kill(process)
            self.close()
        return answer

    def cold(self) -> dict[str, Any]:
        """Milliseconds of a whole program."""
        begin = time.perf_counter()
        process = self._popen("cold.py")
        try:
            status = process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._kill(process)
            return {"error": f"not done within {self._patience:g} s"}
        return (
            {"value": (time.perf_counter() - begin) * 1e3} if status == 0 else {"error": f"status {status}"}
        )

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(LEAVE)
        except subprocess.TimeoutExpired:
            self._kill(process)
        process.stdout.close()  # type: ignore[union-attr]

    def _kill(self, process: subprocess.Popen[Any]) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.name == OURS:
                # Its keeper, which is of its group, ends the session.
                process.kill()
            else:
                # What it has forked would wait for ever.
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self) -> subprocess.Popen[str]:
        self._process = self._popen("measure.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._process

    def _popen(self, script: str, **options: Any) -> subprocess.Popen[Any]:
        command = [sys.executable, *self._prefix, str(HERE / script)]
        return subprocess.Popen(command, env=self._environ, start_new_session=True, **options)

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(self._patience):
                    return {"error": f"no answer within {self._patience:g} s"}
                line = process.stdout.readline()
                if not line:
                    return {"error": "the measuring process has ended"}
                if line.startswith("{"):
                    return dict(json.loads(line))


def measured(row: Row, variants: list[Variant], rounds: int, latency: float) -> dict[str, Any]:
    """Values of one row by variant, taken in turns, and the raw round trips around each of ours, in ms."""
    values: dict[str, list[float]] = {variant.name: [] for variant in variants}
    ratios: list[float] = []
    trips: list[float] = []
    errors: dict[str, str] = {}

    def note(variant: Variant, answer: dict[str, Any]) -> None:
        if "error" in answer:
            errors.setdefault(variant.name, answer["error"])
        elif "value" in answer:
            values[variant.name].append(answer["value"])
            if "r" in answer:
                ratios.append(answer["value"] / answer["r"])
                trips.append(answer["r"])

    cold = row.name == "cold"
    if not cold:
        for variant in variants:
            note(variant, variant.ask("open", row.name))
    for _ in range(rounds):
        for variant in variants:
            if variant.name not in errors:
                note(variant, variant.cold() if cold else variant.ask("once"))
    if not cold:
        for variant in variants:
            if variant.name not in errors:
                note(variant, variant.ask("close"))
    return {
        "what": row.what,
        "unit": row.unit,
        "target": str(row.target.at(latency)) if row.target else None,
        "latency": latency,
        "median": {name: statistics.median(found) for name, found in values.items() if found},
        "values": values,
        "own_r": statistics.median(ratios) if ratios and row.is_time else None,
        "trips": trips,
        "errors": errors,
    }


@contextlib.contextmanager
def store(latency: float) -> Iterator[str]:
    """Address of the store: TRANSPARENT_MP_REDIS_URL, or a server for this run; with --latency, far away."""
    with contextlib.ExitStack() as stack:
        url = os.environ.get("TRANSPARENT_MP_REDIS_URL", "")
        if not url:
            started = server.start()
            stack.callback(started.stop)
            url = started.url
        if latency:
            url = stack.enter_context(proxy.between(url, latency))
        yield url


@contextlib.contextmanager
def lithops_settings(url: str) -> Iterator[dict[str, str]]:
    """Environment of the variant that runs Lithops, on this machine and over the same store."""
    parts = urlsplit(url)
    redis = {"host": parts.hostname, "port": parts.port or 6379}
    redis.update({"password": parts.password} if parts.password else {})
    settings = {
        "lithops": {"backend": "localhost", "storage": "localhost", "log_level": "ERROR", "telemetry": False},
        "redis": redis,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(settings, file)
        file.flush()
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        yield {"BENCH_VARIANT": "lithops", "LITHOPS_CONFIG_FILE": file.name, "PATH": path}


def variants(options: argparse.Namespace, stack: contextlib.ExitStack) -> list[Variant]:
    url = stack.enter_context(store(options.latency))
    common = {"BENCH_SECONDS": "0.1" if options.quick else "0.3", "TRANSPARENT_MP": ""}
    # Compiled modules are kept, as for any user; else every spawned process compiles the program again.
    common.update(PYTHONDONTWRITEBYTECODE="", PYTHONWARNINGS="ignore", TRANSPARENT_MP_REDIS_URL="")
    plain = {"BENCH_START": options.start}
    ours = {"TRANSPARENT_MP_REDIS_URL": url, "BENCH_RAW": url}
    known = {
        OURS: lambda: ({**plain, **ours}, ("-m", "transparent_mp")),
        "fork": lambda: ({"BENCH_START": "fork"}, ()),
        "spawn": lambda: ({"BENCH_START": "spawn"}, ()),
        "lithops": lambda: (stack.enter_context(lithops_settings(url)), ()),
    }
    found = []
    for name in options.variants.split(","):
        if name == "lithops" and importlib.util.find_spec("lithops") is None:
            print("lithops is not installed: left out")
            continue
        environ, prefix = known[name]()
        variant = Variant(name, {**common, **environ}, prefix, options.patience)
        stack.callback(variant.close)
        found.append(variant)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", action="append", metavar="NAME", help=f"one of {', '.join(BY_NAME)}; or a part"
    )
    parser.add_argument("--quick", action="store_true", help="three short rounds, without lithops")
    parser.add_argument("--rounds", type=int, default=0, help="default 5, or 3 with --quick")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="to the store, each way")
    parser.add_argument("--start", default="fork", choices=("fork", "spawn", "forkserver"), help="ours")
    parser.add_argument("--variants", default="", help="default ours,fork,spawn,lithops")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S", help="for one answer")
    parser.add_argument("--out", type=Path, default=Path(".bench"), metavar="DIR")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.variants = options.variants or "ours,fork,spawn" + ("" if options.quick else ",lithops")
    return options


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    chosen = [row for row in ROWS if not options.only or any(part in row.name for part in options.only)]
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        running = variants(options, stack)
        names = [variant.name for variant in running]
        print(report.head(names))
        for row in chosen:
            results[row.name] = measured(row, running, options.rounds, options.latency)
            print(report.line(row, results[row.name], names), flush=True)
    about = {
        "r_ms": report.raw(results),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "rounds": options.rounds,
        "latency_ms": options.latency,
        "start": options.start,
        "load": os.getloadavg()[0],
        "variants": names,
    }
    print("\n" + report.targets(results, about["r_ms"]))
    report.write(options.out, about, results)


if __name__ == "__main__":
    main()
