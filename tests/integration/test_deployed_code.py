"""What `deploy` puts into a function is all that a worker needs, beside Python."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

import pytest
from aws_server import write_wheel

from transparent_mp.launch.deployment import packages
from transparent_mp.launch.deployment.wanted import ARCHITECTURES, Platform, this_python
from transparent_mp.worker.examination import packages as versions


def installed_as_wheel(folder: Path, name: str) -> None:
    """Make a wheel again of what is installed here."""
    distribution = importlib.metadata.distribution(name)
    files: dict[str, bytes] = {}
    for path in distribution.files or ():
        if not path.parts[0].endswith(".dist-info") and ".." not in path.parts and path.suffix != ".pyc":
            files[path.as_posix()] = Path(str(distribution.locate_file(path))).read_bytes()
    extension = any(path.endswith(".so") for path in files)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    tag = f"{python}-{python}-manylinux_2_17_{platform.machine()}" if extension else "py3-none-any"
    write_wheel(folder, name, distribution.version, tag, files, requires=distribution.requires or ())


def with_requirements(names: Iterable[str]) -> set[str]:
    """These, and what they need and is installed."""
    found: set[str] = set()
    for name in names:
        try:
            requires = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        needed = [re.split(r"[^\w.-]", text)[0] for text in requires if "extra" not in text]
        found |= {name} | with_requirements(needed)
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked code of a function for this machine."""
    folder = tmp_path_factory.mktemp("code")
    wheels = folder / "wheels"
    wheels.mkdir()
    for name in with_requirements(packages.NEEDED):
        installed_as_wheel(wheels, name)
    target = Platform(this_python(), ARCHITECTURES[platform.machine()])
    with pytest.MonkeyPatch.context() as environ:
        for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "CONFIG_FILE": "/dev/null"}.items():
            environ.setenv("PIP_" + name, value)
        archive = packages.function_code(folder / "build", target)
    with zipfile.ZipFile(io.BytesIO(archive.content)) as content:
        content.extractall(folder / "task")
    return folder / "task"


def test_the_handler_answers_from_it_alone(code: Path, bare: Path, redis: Callable[..., Any]) -> None:
    text = """
        import json, sys
        from transparent_mp.cli.handler import handler
        print(json.dumps(handler({"probe": sys.argv[1]}, None)))
    """.replace("\n        ", "\n")
    done = subprocess.run(
        [str(bare), "-c", text, redis().address],
        env={"PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["packages"] == versions()
    assert said["store_ms"] > 0


def test_processes_run_on_it_alone(
    code: Path, bare: Path, program: Callable[..., Any], tmp_path: Path
) -> None:
    script = tmp_path / "worker"
    script.write_text(f'#!/bin/sh\nshift\nPYTHONPATH={code} exec {bare} "$@"\n')
    script.chmod(0o755)
    text = """
        import multiprocessing as mp, os, sys

        def where(number):
            # Imported before the process was there, which may find the client's packages as well.
            reader = sys.modules["hiredis"].__file__
            return number * number, sys.prefix, os.path.dirname(os.path.dirname(reader))

        if __name__ == "__main__":
            with mp.Pool(2) as pool:
                found = pool.map(where, range(4))
            print([square for square, _, _ in found], *{place for _, *place in found for place in place})
    """
    ran = program(text, WORKER_COMMAND=str(script), WORKERS="2").finish()
    assert ran.status == 0, ran.err
    squares, _, places = ran.out.partition("] ")
    assert squares == "[0, 1, 4, 9"
    assert set(places.split()) == {str(bare.parents[1]), str(code)}
    assert sysconfig.get_path("purelib") not in places
