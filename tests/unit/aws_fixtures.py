"""Fixtures for those who need an AWS: import them into a conftest."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_server import Aws, write_wheel

#: A wheel of each is there for this Python and these machines.
COMPILED = ("hiredis", "wrapt")
MACHINES = ("x86_64", "aarch64")


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Aws]:
    """One server for all tests of a run."""
    server = Aws()
    yield server
    server.stop()


@pytest.fixture
def aws(aws_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty account, which this process and those it starts use."""
    aws_server.reset()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in aws_server.environ.items():
        monkeypatch.setenv(name, value)
    return aws_server


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip can get: small wheels of what a function needs, as if of the versions installed here."""
    from transparent_mp.launch.deployment.packages import NEEDED

    folder = tmp_path / "wheels"
    folder.mkdir()
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    for name in NEEDED:
        version = importlib.metadata.version(name)
        tags = ["py3-none-any"]
        if name in COMPILED:
            tags = [f"{python}-{python}-manylinux_2_17_{machine}" for machine in MACHINES]
        for tag in tags:
            write_wheel(folder, name, version, tag, {f"{name}/__init__.py": f"TAG = {tag!r}\n"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder
