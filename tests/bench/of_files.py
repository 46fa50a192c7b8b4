"""Measured: files of the client, at the client."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from operations import Measure, each, operation, shared


@operation("local_open")
def _local_open() -> Iterator[Measure]:
    with tempfile.NamedTemporaryFile() as file, shared():
        yield lambda: each(lambda: open(file.name, "rb").close())


@operation("local_stat")
def _local_stat() -> Iterator[Measure]:
    with tempfile.NamedTemporaryFile() as file, shared():
        yield lambda: each(lambda: os.stat(file.name))
