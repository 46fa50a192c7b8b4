"""`transparent-mp deploy`: the function that workers run in, with all that belongs to it.

Builds its code, compares what is there with what is wanted, shows the difference, asks, and does it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from transparent_mp.cli.asking import carried_out
from transparent_mp.errors import TransparentError
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment import image, packages
from transparent_mp.launch.deployment.deploying import Codes, Deployment
from transparent_mp.launch.deployment.wanted import ARCHITECTURES, RETENTIONS, Wanted

#: Of Python 3, with which this package runs.
OLDEST = 9

_DESCRIPTION = """\
Create or update the Lambda function that workers run in: its role, log group, configuration and code.
What is not said stays as it is; a new function gets the defaults. Asks before anything is changed."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    wanted = _wanted(options)
    try:
        deployment = Deployment(wanted, Clients(options.region))
        if options.write_dockerfile:
            return _write_dockerfile(options, deployment)
        with tempfile.TemporaryDirectory(prefix="transparent_mp-") as folder:
            steps = deployment.creation(_build(options, deployment, Path(folder)))
        if not steps:
            print(f"{wanted.function} ({deployment.place}): nothing to do")
            return 0
        title = f"{wanted.function} ({deployment.place}):"
        ended = carried_out(title, steps, "Do this?", dry_run=options.dry_run, yes=options.yes)
        if ended is not None:
            return ended
        print(_RUN.format(function=wanted.function))
    except TransparentError as error:
        print(f"transparent-mp deploy: {error}", file=sys.stderr)
        return 1
    return 0


_RUN = """\
done. Now:
    export TRANSPARENT_MP_BACKEND=lambda TRANSPARENT_MP_FUNCTION={function} TRANSPARENT_MP_REDIS_URL=redis://...
    transparent-mp doctor
    python -m transparent_mp app.py"""


def _build(options: argparse.Namespace, deployment: Deployment, folder: Path) -> Codes:
    if options.image:
        return Codes(None)
    platform = deployment.platform
    print(f"building for {platform} ...", flush=True)
    code = packages.function_code(folder / "code", platform)
    requirements = _requirements(options)
    if not requirements:
        return Codes(code)
    complete = bool(options.current_environment)
    return Codes(code, packages.layer(folder / "layer", platform, requirements, complete=complete))


def _requirements(options: argparse.Namespace) -> list[str]:
    """What pip is to be told for the programs' packages."""
    if options.requirements:
        return packages.read_requirements(options.requirements)
    if not options.current_environment:
        return []
    pins, local = packages.current_environment()
    if local:
        print(
            f"left out, as installed from a directory (workers get them from the client): {', '.join(local)}"
        )
    return pins


def _write_dockerfile(options: argparse.Namespace, deployment: Deployment) -> int:
    folder, platform = Path(options.write_dockerfile), deployment.platform
    requirements = _requirements(options)
    if options.requirements:
        requirements = Path(options.requirements).read_text(encoding="utf-8").splitlines()
    image.write(folder, platform, requirements)
    print(f"{folder} holds a Dockerfile and what it needs. Now:")
    for command in image.commands(folder, platform, options.function, deployment.registry):
        print("    " + command)
    return 0


def _wanted(options: argparse.Namespace) -> Wanted:
    no_vpc = () if options.no_vpc else None
    return Wanted(
        function=options.function,
        python=options.python,
        architecture=options.architecture,
        memory=options.memory,
        timeout=options.timeout,
        storage=options.storage,
        subnets=options.subnets or no_vpc,
        security_groups=options.security_groups or no_vpc,
        concurrency=options.concurrency,
        retention=options.log_retention,
        role=options.role,
        bucket=options.bucket,
        environ=dict(options.env) if options.env is not None else None,
        no_layer=options.no_packages,
        image=options.image,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "transparent-mp deploy",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--function", default=function_name(), help="its name (TRANSPARENT_MP_FUNCTION, or %(default)s)")
    add("--region", default="", help="AWS region (AWS_REGION, or the profile's)")
    add("--dry-run", action="store_true", help="show what would be done, and do nothing")
    add("--yes", action="store_true", help="do not ask")
    shape = parser.add_argument_group("the function")
    add = shape.add_argument
    add("--memory", type=_number(128, 10240), metavar="MB", help="1769 gives one vCPU (the default)")
    add("--timeout", type=_number(3, 900), metavar="S", help="seconds of one invocation, 900 (the default)")
    add("--storage", type=_number(512, 10240), metavar="MB", help="temporary files, 512 (the default)")
    add("--python", type=_python, metavar="3.N", help="must be that of the programs (this interpreter's)")
    add("--architecture", choices=sorted(set(ARCHITECTURES.values())), help="(this machine's)")
    add("--subnets", type=_list, metavar="ID,ID", help="subnets of the VPC in which Redis is reached")
    add("--security-groups", type=_list, metavar="ID,ID")
    add("--no-vpc", action="store_true", help="take it out of its VPC")
    add(
        "--concurrency", type=_concurrency, metavar="N|none", help="reserved for it, and the most it may have"
    )
    add("--log-retention", type=int, choices=RETENTIONS, metavar="DAYS", help="14 (the default)")
    add("--env", type=_pair, action="append", metavar="NAME=VALUE", help="its environment (all of it)")
    add("--role", metavar="ARN", help="a role that is there, in place of one made for it")
    add("--bucket", metavar="NAME[/PREFIX]", help="for large contents and large code (TRANSPARENT_MP_BUCKET)",
        default=os.environ.get("TRANSPARENT_MP_BUCKET", "").removeprefix("s3://") or None)  # fmt: skip
    code = parser.add_argument_group("packages of the programs").add_mutually_exclusive_group()
    code.add_argument("--requirements", metavar="FILE", help="a layer with what this file asks for")
    code.add_argument(
        "--current-environment", action="store_true", help="a layer with what is installed here"
    )
    code.add_argument("--no-packages", action="store_true", help="without the layer that it has")
    container = parser.add_argument_group("as a container image").add_mutually_exclusive_group()
    container.add_argument("--write-dockerfile", metavar="DIR", help="write what it is built from, say how")
    container.add_argument("--image", metavar="URI", help="deploy the image that was pushed there")
    return parser


def function_name() -> str:
    """The function that is meant when none is named."""
    return os.environ.get("TRANSPARENT_MP_FUNCTION", "").strip() or "transparent-mp"


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{number} is not from {least} to {most}")
        return number

    return read


def _python(text: str) -> str:
    minor = text.removeprefix("3.")
    if minor == text or not minor.isdecimal() or int(minor) < OLDEST:
        raise argparse.ArgumentTypeError(f"{text} is not 3.{OLDEST} or later, such as 3.13")
    return text


def _concurrency(text: str) -> int:
    if text == "none":
        return -1
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("with less than 1 no worker could start")
    return number


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value
