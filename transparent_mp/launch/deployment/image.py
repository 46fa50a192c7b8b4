"""A function as a container image: the directory to build it from, and the commands that do.

The base is AWS's own image for Python, which has the runtime's side of an invocation. An image may have
10 GB, so this is what remains when a function with its layers would pass 250 MB. Nothing is built here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from transparent_mp.errors import DeployError
from transparent_mp.launch.deployment import packages
from transparent_mp.launch.deployment.wanted import HANDLER, Platform

_DOCKERFILE = """\
FROM {base}
COPY requirements.txt ${{LAMBDA_TASK_ROOT}}/
RUN pip install --no-cache-dir --target "${{LAMBDA_TASK_ROOT}}" -r "${{LAMBDA_TASK_ROOT}}/requirements.txt"
COPY transparent_mp ${{LAMBDA_TASK_ROOT}}/transparent_mp
CMD ["{handler}"]
"""
_PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


def write(folder: Path, platform: Platform, requirements: Sequence[str]) -> None:
    """Make `folder` the directory of a build; `requirements` are lines of a requirements file."""
    dockerfile = folder / "Dockerfile"
    if folder.exists() and any(folder.iterdir()) and not dockerfile.exists():
        raise DeployError(f"{folder} is there and no directory of ours: name a new one, or an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    inside = folder / packages.PACKAGE.name
    if inside.exists():
        shutil.rmtree(inside)
    shutil.copytree(packages.PACKAGE, inside, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "door"))
    lines = [*packages.needed(), *requirements]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    dockerfile.write_text(_DOCKERFILE.format(base=base(platform), handler=HANDLER))


def base(platform: Platform) -> str:
    """AWS's image for that Python."""
    return f"amazon/aws-lambda-python:{platform.python}"


def commands(folder: Path, platform: Platform, function: str, registry: str) -> list[str]:
    """What builds, pushes and deploys it; `registry`: the host of the account's own."""
    image = f"{registry}/{function}:latest"
    return [
        f"aws ecr create-repository --repository-name {function}",
        f"aws ecr get-login-password | docker login --username AWS --password-stdin {registry}",
        f"docker build --platform {_PLATFORMS[platform.architecture]} --provenance=false -t {image} {folder}",
        f"docker push {image}",
        f"transparent-mp deploy --function {function} --image {image}",
    ]
