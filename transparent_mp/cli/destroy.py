"""`transparent-mp destroy`: removes what `deploy` has made for a function, and nothing else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from transparent_mp.cli.asking import carried_out
from transparent_mp.cli.deploy import function_name
from transparent_mp.errors import TransparentError
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment.deploying import Deployment
from transparent_mp.launch.deployment.wanted import Wanted


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        deployment = Deployment(Wanted(options.function), Clients(options.region))
        steps = deployment.removal()
        if not steps:
            print(f"{options.function} ({deployment.place}): nothing of ours is there")
            return 0
        title = f"{options.function} ({deployment.place}):"
        ended = carried_out(title, steps, "Remove this?", dry_run=options.dry_run, yes=options.yes)
        if ended is not None:
            return ended
        print("done")
    except TransparentError as error:
        print(f"transparent-mp destroy: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "transparent-mp destroy",
        description="Remove the function and what `deploy` has made for it, known by its tags. Asks first.",
    )
    add = parser.add_argument
    add("--function", default=function_name(), help="its name (TRANSPARENT_MP_FUNCTION, or %(default)s)")
    add("--region", default="", help="AWS region (AWS_REGION, or the profile's)")
    add("--dry-run", action="store_true", help="show what would be removed, and do nothing")
    add("--yes", action="store_true", help="do not ask")
    return parser
