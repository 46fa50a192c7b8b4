"""`transparent-mp doctor`: tries everything that a program on workers needs, a line each.

A line passes (ok), passes with advice (look), or says what to do (FAIL); with a FAIL the status is 1.
What it puts into a bucket it deletes; on the Lambda backend it makes one invocation.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from transparent_mp.cli.checks import amazon, bucket, doors, store, workers
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.cli.deploy import function_name
from transparent_mp.config import Config
from transparent_mp.errors import ConfigError
from transparent_mp.launch.clients import Clients


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    if options.backend:
        os.environ["TRANSPARENT_MP_BACKEND"] = options.backend
    try:
        config = Config.from_environ()
    except ConfigError as error:
        print(f"FAIL settings: {error}")
        return 1
    lines = []
    for line in _lines(config, options.region):
        print(line.text(), flush=True)
        lines.append(line)
    failed = sum(line.verdict is Verdict.WRONG for line in lines)
    print(f"{failed} of {len(lines)} fail" if failed else "all is well")
    return 1 if failed else 0


def _lines(config: Config, region: str) -> Iterator[Line]:
    clients = Clients(region)
    yield from doors.check()
    yield from store.check(config)
    yield from bucket.check(config, clients)
    if config.backend == "lambda":
        yield from amazon.check(config, function_name(), clients)
    else:
        yield from workers.check_local(config)
    yield from bucket.clear(config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "transparent-mp doctor",
        description="Try everything that a program on workers needs, with the settings of this environment.",
    )
    parser.add_argument("--backend", choices=("local", "lambda"), help="in place of TRANSPARENT_MP_BACKEND")
    parser.add_argument("--region", default="", help="AWS region (AWS_REGION, or the profile's)")
    return parser
