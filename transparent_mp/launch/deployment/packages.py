"""A function's code: the installed package, its dependencies as installed here, and what a program needs.

Dependencies are wheels for the function's platform, fetched by pip in the versions that are installed
here. A zip has the same bytes whenever it has the same content, so AWS's digest of what is there tells
whether anything is to be done. boto3 is left out: the runtime has it.

It does not know AWS.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transparent_mp.errors import DeployError
from transparent_mp.launch.deployment.wanted import Platform

PACKAGE = Path(__file__).parents[2]
#: What workers import beside the standard library: pyproject's dependencies without boto3.
NEEDED = ("cloudpickle", "hiredis", "redis", "wrapt")
#: In no function: what only installs, and ourselves (a function has us anyway).
NEVER = ("pip", "setuptools", "wheel", "transparent-mp")

#: As AWS counts them.
MB = 1 << 20
#: Bytes that code and layers may have, unzipped.
UNZIPPED = 250 * MB
#: Bytes of a zip that may be sent directly; a larger one goes through a bucket.
DIRECT = 50 * MB

#: Minor version of each runtime's glibc 2: 3.12 and later stand on Amazon Linux 2023, those before on 2.
_GLIBC_OLD, _GLIBC_NEW = 26, 34
_NEW_FROM = (3, 12)
#: Seconds that pip may take.
_PIP_TIMEOUT = 900
#: Lines of pip's complaint that a message quotes.
_TAIL = 6


@dataclass(frozen=True)
class Archive:
    """A zip, and what it becomes when it is unpacked."""

    content: bytes
    unzipped: int
    #: Top-level entries and their bytes, largest first.
    largest: Sequence[tuple[str, int]]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def function_code(folder: Path, platform: Platform) -> Archive:
    """This package and what it needs, for `platform`."""
    shutil.copytree(
        PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "door")
    )
    install(folder, platform, needed(), pinned=True)
    return archive(folder)


def needed() -> list[str]:
    """What the package itself needs on a worker, as it is installed here."""
    return [f"{name}=={_installed(name)}" for name in NEEDED]


def layer(folder: Path, platform: Platform, requirements: Sequence[str], *, complete: bool) -> Archive:
    """Packages for programs; `complete`: the requirements name everything, with its version."""
    install(folder / "python", platform, requirements, dependencies=not complete)
    return archive(folder)


def read_requirements(path: str) -> list[str]:
    """pip's own words for a requirements file."""
    if not Path(path).is_file():
        raise DeployError(f"there is no requirements file {path!r}")
    return ["-r", path]


def current_environment() -> tuple[list[str], list[str]]:
    """What is installed here as NAME==VERSION, and the names of what pip cannot fetch elsewhere.

    Those are installed from a directory; a worker gets their modules from the client when it needs them.
    """
    pins, local = [], []
    for distribution in importlib.metadata.distributions():
        name = _normal(distribution.metadata["Name"] or "")
        if not name or name in NEVER or name in NEEDED:
            continue
        if distribution.read_text("direct_url.json"):
            local.append(name)
        else:
            pins.append(f"{name}=={distribution.version}")
    return sorted(set(pins)), sorted(set(local))


def install(
    folder: Path,
    platform: Platform,
    requirements: Sequence[str],
    *,
    pinned: bool = False,
    dependencies: bool = True,
) -> None:
    """Let pip put wheels for `platform` into `folder`; `pinned`: what they need as it is installed here."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-compile", "--only-binary=:all:", "--target", str(folder)]
    command += ["--implementation", "cp", "--python-version", platform.python]
    for tag in _tags(platform):
        command += ["--platform", tag]
    if not dependencies:
        command.append("--no-deps")
    if pinned:
        constraints = folder.with_suffix(".constraints")
        constraints.write_text("\n".join(_pins()) + "\n")
        command += ["--constraint", str(constraints)]
    try:
        done = subprocess.run(
            [*command, *requirements], capture_output=True, text=True, timeout=_PIP_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise DeployError(
            f"pip did not end within {_PIP_TIMEOUT} s: is the package index reachable?"
        ) from None
    if done.returncode:
        raise DeployError(_complaint(done.stderr, platform))


def archive(folder: Path) -> Archive:
    """Zip a directory; the same content gives the same bytes."""
    sizes: dict[str, int] = {}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            if not _belongs(name):
                continue
            body = path.read_bytes()
            entry = zipfile.ZipInfo(name.as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16 if path.suffix == ".so" else 0o100644 << 16
            target.writestr(entry, body, compresslevel=9)
            top = name.parts[1] if name.parts[0] == "python" and len(name.parts) > 1 else name.parts[0]
            sizes[top] = sizes.get(top, 0) + len(body)
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return Archive(content.getvalue(), sum(sizes.values()), largest)


def check_size(*archives: Archive) -> None:
    """Raise DeployError when together they are more than a function may have."""
    total = sum(archive.unzipped for archive in archives)
    if total <= UNZIPPED:
        return
    largest = sorted((item for archive in archives for item in archive.largest), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {size / MB:.0f} MB" for name, size in largest[:5])
    raise DeployError(
        f"code and packages have {total / MB:.0f} MB unzipped, above the {UNZIPPED / MB:.0f} MB that a "
        f"function with its layers may have (the largest: {shown}): leave out what workers do not need, or "
        "deploy a container image, which may have 10 GB: --write-dockerfile DIR, then --image URI"
    )


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise DeployError(f"{name} is not installed here: pip install transparent-mp again") from None


def _pins() -> list[str]:
    found = {
        _normal(distribution.metadata["Name"] or ""): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    return sorted(f"{name}=={version}" for name, version in found.items() if name and name not in NEVER)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _tags(platform: Platform) -> list[str]:
    """Platform tags of wheels that load there, best first."""
    machine = "aarch64" if platform.architecture == "arm64" else "x86_64"
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(_glibc(platform), 4, -1)]
    return [*tags, f"manylinux2014_{machine}", *([f"manylinux2010_{machine}"] if machine == "x86_64" else ())]


def _glibc(platform: Platform) -> int:
    version = tuple(int(part) for part in platform.python.split("."))
    return _GLIBC_NEW if version >= _NEW_FROM else _GLIBC_OLD


def _belongs(name: Path) -> bool:
    # Not bytecode, which has times in it, nor what names this machine: scripts and pip's notes.
    if "__pycache__" in name.parts or name.suffix == ".pyc" or _is_script(name):
        return False
    in_info = name.parent.name.endswith(".dist-info")
    return not (in_info and name.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"))


def _is_script(name: Path) -> bool:
    return name.parts[0] == "bin" or name.parts[:2] == ("python", "bin")


def _complaint(said: str, platform: Platform) -> str:
    if "No module named pip" in said:
        return "pip is not there: python -m ensurepip, or deploy a container image (--write-dockerfile DIR)"
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    text = " / ".join(lines[-_TAIL:])
    return (
        f"pip cannot make the code for Python {platform.python} on {platform.architecture} (its runtime has "
        f"glibc 2.{_glibc(platform)}): {text}. A package without a wheel for that can be left out (pure "
        "Python comes from the client anyway), be asked for in an older version or for a later Python, or go "
        "into a container image (--write-dockerfile DIR)"
    )
