"""What a worker says of itself when `transparent-mp doctor` asks: {"probe": URL, "bucket": NAME}.

    python, machine, packages     what runs there; packages by name, with their versions
    cpus, temporary_mb            what it has
    store_ms | store_error        one round trip to the store at URL, or why there is none
    bucket_ms | bucket_error      the same for a content that is put and read back, when a bucket is named

All of it is plain values. It joins no session.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from typing import Any

import transparent_mp
from transparent_mp.config import Config
from transparent_mp.errors import TransparentError
from transparent_mp.launch.bucket import Bucket
from transparent_mp.launch.deployment.packages import NEEDED
from transparent_mp.store.connect import connect

#: What stands in a bucket for the session's name.
DOCTOR = "doctor"
#: Pings of which the median is told.
PINGS = 21


def examine(event: dict[str, Any]) -> dict[str, Any]:
    """Answer the doctor."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": packages(),
        "cpus": Config().parallelism(),
        "temporary_mb": shutil.disk_usage(tempfile.gettempdir()).free >> 20,
    }
    if event["probe"]:
        try:
            found["store_ms"] = round_trip(event["probe"])
        except TransparentError as error:
            found["store_error"] = str(error)
    if event.get("bucket"):
        try:
            found["bucket_ms"] = bucket_round_trip(event["bucket"])
        except TransparentError as error:
            found["bucket_error"] = str(error)
    return found


def packages() -> dict[str, str]:
    """Versions of what a worker needs, '' for what is missing."""
    found = {"transparent_mp": transparent_mp.__version__}
    for name in NEEDED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


def round_trip(url: str) -> float:
    """Milliseconds of a round trip to that store. Raises StoreError."""
    link = connect(url)
    times = []
    try:
        for _ in range(PINGS):
            begun = time.perf_counter()
            link.send([("PING",)])
            answer = link.read()
            times.append(time.perf_counter() - begun)
            if isinstance(answer, Exception):
                raise answer
    finally:
        link.close()
    return round(sorted(times)[PINGS // 2] * 1000, 3)


def bucket_round_trip(text: str) -> float:
    """Milliseconds to put a content into that bucket and to read it back. Raises DepotError."""
    depot = Bucket(text, DOCTOR)
    depot.prepare()
    # A worker may write and read there, and no more: the doctor deletes it.
    content = b"doctor " + os.uname().nodename.encode()
    begun = time.perf_counter()
    depot.put(hashlib.sha256(content).hexdigest(), content)
    b"".join(depot.stream(hashlib.sha256(content).hexdigest()))
    return round((time.perf_counter() - begun) * 1000, 1)
