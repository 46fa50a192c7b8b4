"""`transparent_mp.cli.handler.handler`: what AWS Lambda calls. An invocation is a worker, or a probe.

    {"ticket": T}      supervise for that ticket; answers processes, seconds, peak_mb (of the largest process)
      "hash_seed"      of `str` hashes: an environment that was started with another is started anew
    {"probe": URL}     say what this function is, and how it reaches that store (`worker.examination`)

    runtime process     this module; stays as AWS has made it
      environment       `cli.environment`: imports what workers need, once, while AWS initialises the function
        supervisor      forked for each invocation; its processes are its children

Nothing of an invocation is left when it answers: the environment kills what remains, and removes what
came into the temporary directory, so that nothing is frozen with it or seen by the next one. A worker
that fails in itself is reported to its client, and answered as an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from transparent_mp.launch.hashing import LAMBDA_SEED

#: Memory of a function, in MB, that comes with a whole CPU.
MEMORY_OF_CPU = 1769


class Environment:
    """The process that supervisors are forked from. Restarted when it is gone, or hashes otherwise."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._hash_seed = LAMBDA_SEED

    def start(self) -> subprocess.Popen[bytes]:
        """The process, started if need be; returns when it is ready. Raises RuntimeError when it is not."""
        process = self._process
        if process is None or process.poll() is not None:
            paths = os.pathsep.join(path for path in sys.path if path)
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "transparent_mp.cli.environment"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": self._hash_seed},
            )
            self._hear(process)
        return process

    def hash_with(self, seed: str) -> None:
        """Have the process one with that seed; costs a start when it has another."""
        if seed == self._hash_seed:
            return
        self._hash_seed = seed
        process, self._process = self._process, None
        if process is not None:
            # The end of its orders ends it.
            with process.stdin, process.stdout:  # type: ignore[union-attr]
                pass
            process.wait()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Its answer to an order. Raises RuntimeError when it ends instead."""
        process = self.start()
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        return self._hear(process)

    @staticmethod
    def _hear(process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the worker's environment ended with status {process.wait()}: see the log above"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


_environment = Environment()
# Only where a runtime calls us: there, time before the first invocation is given.
if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    _environment.start()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Be a worker for the event's ticket, or answer its probe."""
    if "probe" in event:
        return _environment.ask(event)
    if "ticket" not in event:
        raise ValueError('this function serves transparent_mp: an event holds a "ticket" or a "probe"')
    _environment.hash_with(event.get("hash_seed") or LAMBDA_SEED)
    cores = max(1, int(context.memory_limit_in_mb) // MEMORY_OF_CPU)
    ticket = dict(event["ticket"], cores=cores)
    # One clock for all processes of a machine.
    until = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    answer = _environment.ask({"ticket": ticket, "until": until})
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer
