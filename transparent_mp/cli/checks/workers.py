"""A worker as it answers a probe, beside what is here."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from transparent_mp.cli.checks.line import Line, doubtful, well, wrong
from transparent_mp.config import Config
from transparent_mp.launch import local
from transparent_mp.worker.examination import packages

_TIMEOUT = 60
#: Lines of a complaint that are quoted.
_TAIL = 3


def check_local(config: Config) -> Iterator[Line]:
    """A worker of the local backend."""
    what = "a worker"
    url = config.worker_redis_url or config.redis_url
    probe = {"probe": url, "bucket": config.bucket}
    try:
        done = subprocess.run(
            local.command(config),
            input=json.dumps(probe) + "\n",
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            cwd="/",
            env=local.environ(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield wrong(what, f"cannot be started: {error}", "check TRANSPARENT_MP_WORKER_COMMAND")
        return
    if done.returncode:
        said = " / ".join(done.stderr.strip().splitlines()[-_TAIL:])
        remedy = "check TRANSPARENT_MP_WORKER_COMMAND, and that this Python and transparent_mp are there"
        yield wrong(what, f"its command ended with status {done.returncode}: {said}", remedy)
        return
    where = shlex.split(config.worker_command)[0] if config.worker_command else "this machine"
    yield from judge(json.loads(done.stdout), f"a worker ({where})", LOCAL)


@dataclass(frozen=True)
class Remedies:
    """What to do about a kind of worker."""

    #: To have the same versions there as here.
    versions: str
    network: str
    bucket: str


LOCAL = Remedies(
    "install the same there",
    "TRANSPARENT_MP_WORKER_REDIS_URL is the address that workers use",
    "check TRANSPARENT_MP_BUCKET, and the AWS credentials that workers have",
)
INVOCATION = Remedies(
    "transparent-mp deploy, from this environment",
    "TRANSPARENT_MP_WORKER_REDIS_URL is the address that workers use. A function must be in a VPC with "
    "a route to it (transparent-mp deploy --subnets ... --security-groups ...), and the security groups must "
    "let the function out and Redis's port in",
    "the function's role needs s3:GetObject and s3:PutObject (transparent-mp deploy --bucket ...), and in a "
    "VPC a gateway endpoint for S3",
)


def judge(said: dict[str, Any], what: str, remedies: Remedies) -> Iterator[Line]:
    """What a worker says of itself, beside what is here."""
    yield well(what, f"Python {said['python']} on {said['machine']}, {_possessions(said)}")
    yield _python(said, what, remedies.versions)
    yield from _packages(said.get("packages", {}), what, remedies.versions)
    if "store_ms" in said:
        yield well(f"Redis from {what}", f"a round trip takes {said['store_ms']:.2f} ms")
    elif "store_error" in said:
        yield wrong(f"Redis from {what}", said["store_error"], remedies.network)
    if "bucket_ms" in said:
        yield well(f"the bucket from {what}", f"put and read back in {said['bucket_ms']:.0f} ms")
    elif "bucket_error" in said:
        yield wrong(f"the bucket from {what}", said["bucket_error"], remedies.bucket)


def _possessions(said: dict[str, Any]) -> str:
    parts = [f"{said['cpus']} CPUs"] if "cpus" in said else []
    if "temporary_mb" in said:
        parts.append(f"{said['temporary_mb']} MB for temporary files")
    return ", ".join(parts) or "which says no more"


def _python(said: dict[str, Any], what: str, remedy: str) -> Line:
    here, there = platform.python_version(), said["python"]
    line = f"{here} here, {there} there"
    if here.split(".")[:2] != there.split(".")[:2]:
        return wrong(f"Python of {what}", line, f"they must agree in the first two numbers: {remedy}")
    if here.split(".") != there.split("."):
        return well(f"Python of {what}", line)
    return well(f"Python of {what}", f"{here}, as here")


def _packages(there: dict[str, str], what: str, remedy: str) -> Iterator[Line]:
    here = packages()
    differ = {name: version for name, version in there.items() if here.get(name) != version}
    if "transparent_mp" in differ:
        found = f"transparent_mp {here['transparent_mp']} here, {differ['transparent_mp']} there"
        yield wrong(f"packages of {what}", found, remedy)
    elif differ:
        found = ", ".join(
            f"{name} {here.get(name)} here, {version or 'missing'} there" for name, version in differ.items()
        )
        yield doubtful(f"packages of {what}", found, f"mostly harmless; to have the same: {remedy}")
    elif there:
        shown = ", ".join(f"{name} {version}" for name, version in there.items())
        yield well(f"packages of {what}", f"{shown}, as here")
