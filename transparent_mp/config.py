"""Every TRANSPARENT_MP_* variable: its name, type, default and meaning.

The environment is read once, by `Config.from_environ`; whoever needs a setting is given the
`Config`. Nothing is cached in this module, so a test can make as many as it likes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from transparent_mp.errors import ConfigError
from transparent_mp.hidden import Address
from transparent_mp.originals import original

BACKENDS = ("local", "lambda")
#: The session's parallelism on Lambda when nothing says otherwise: a tenth of what an account may run.
LAMBDA_WORKERS = 100
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Config:
    """The settings of one session. Each field is the variable TRANSPARENT_MP_<FIELD>."""

    #: What makes workers exist: `local` processes, or AWS `lambda` invocations.
    backend: str = "local"
    #: Address of the store as the client reaches it (redis://, rediss://, unix://).
    #: Empty: an embedded server is started for the session and stopped with it.
    redis_url: str = ""
    #: Address of the store as workers reach it. Empty: the same as `redis_url`.
    worker_redis_url: str = ""
    #: The session's parallelism: what CPU counts answer, and how many workers may exist.
    #: 0: the CPUs of this machine; LAMBDA_WORKERS on Lambda.
    workers: int = 0
    #: Lambda backend: the function whose invocations are workers, by name, name:alias or ARN.
    function: str = ""
    #: Object storage for large contents, NAME or NAME/PREFIX of a bucket. Empty: the store holds them.
    bucket: str = ""
    #: Local backend: words put in front of the command that starts a worker (ssh, sandbox, ...).
    worker_command: str = ""
    #: Seconds an idle worker waits for its next process. Longer: warm starts after a pause;
    #: shorter: less is paid for waiting.
    linger: float = 30.0
    #: Seconds after which a holder that no longer renews its lease is dead, and a store that is away is
    #: gone. Longer: survives a stalled network or a longer restart of Redis; shorter: the dead are noticed,
    #: and their keys gone, sooner.
    lease: float = 20.0
    #: Seconds a launched worker may take until it checks in.
    launch_timeout: float = 60.0
    #: Directories whose files processes on workers find as their own, separated by colons. `none`: no
    #: directory. Empty: where the program stands, its own, the temporary one, home, and /dev/shm.
    roots: str = ""
    #: Log level of our own messages on stderr.
    log: str = "warning"
    #: A file to which the client appends one line for each process that a worker has started:
    #: session, process name, worker, host (tab separated). A manager's server, which runs beside its
    #: creator, has "beside" for its worker.
    witness: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read the variables; raises ConfigError, naming the variable, for a value without meaning."""
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for field, read in _READERS.items():
            name = variable(field)
            text = environ.get(name, "").strip()
            if text:
                values[field] = read(name, text)
        config = cls(**values)  # type: ignore[arg-type]
        if config.backend == "lambda":
            _check_lambda(config)
        return config

    def parallelism(self) -> int:
        """What every way of asking for CPUs answers."""
        return self.workers or (LAMBDA_WORKERS if self.backend == "lambda" else _local_cpus())


def variable(field: str) -> str:
    """Name of the environment variable that sets `field`."""
    return "TRANSPARENT_MP_" + field.upper()


def _check_lambda(config: Config) -> None:
    missing = [variable(field) for field in ("function", "redis_url") if not getattr(config, field)]
    if missing:
        raise ConfigError(
            f"{variable('backend')}=lambda needs {' and '.join(missing)}: the function whose invocations are "
            "workers (`transparent-mp deploy` makes one), and a Redis that they and this machine can reach"
        )


def _local_cpus() -> int:
    # sched_getaffinity sees taskset and cpusets, which cpu_count does not. What stands in `os` may
    # answer from here.
    if hasattr(os, "sched_getaffinity"):
        return len(original("os", "sched_getaffinity")(0))
    return original("os", "cpu_count")() or 1


def _one_of(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text.lower() in choices:
            return text.lower()
        raise ConfigError(f"{name}={text!r} is unknown: use one of {', '.join(choices)}")

    return read


def _text(_name: str, text: str) -> str:
    return text


def _url(name: str, text: str) -> str:
    if text.startswith(("redis://", "rediss://", "unix://")):
        return Address(text)
    # The text may hold a password, so it is not repeated.
    raise ConfigError(f"{name} must begin with redis://, rediss:// or unix://")


def _bucket(name: str, text: str) -> str:
    place = text[len("s3://") :] if text.startswith("s3://") else text
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", place):
        return place
    raise ConfigError(f"{name}={text!r} is no bucket: use NAME, NAME/PREFIX or s3://NAME/PREFIX")


def _count(name: str, text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise ConfigError(f"{name}={text!r} must be a whole number above 0")


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value > 0:
        return value
    raise ConfigError(f"{name}={text!r} must be a number of seconds above 0")


def _directories(name: str, text: str) -> str:
    if text == "none" or all(map(os.path.isabs, text.split(os.pathsep))):
        return text
    raise ConfigError(f"{name}={text!r} must be absolute directories separated by {os.pathsep!r}, or none")


_READERS: dict[str, Callable[[str, str], object]] = {
    "backend": _one_of(BACKENDS),
    "redis_url": _url,
    "worker_redis_url": _url,
    "workers": _count,
    "function": _text,
    "bucket": _bucket,
    "worker_command": _text,
    "linger": _seconds,
    "lease": _seconds,
    "launch_timeout": _seconds,
    "roots": _directories,
    "log": _one_of(LOG_LEVELS),
    "witness": _text,
}
