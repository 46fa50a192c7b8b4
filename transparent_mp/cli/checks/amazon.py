"""AWS as this machine may use it: credentials, the function, and what it may do at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from transparent_mp.cli.checks import workers
from transparent_mp.cli.checks.line import Line, doubtful, well, wrong
from transparent_mp.config import Config
from transparent_mp.errors import DeployError
from transparent_mp.launch.clients import Clients, explained, found
from transparent_mp.launch.deployment import wanted
from transparent_mp.store.connect import is_here_alone

#: What to do where a worker is told an address that is each machine's own.
_ITS_OWN = replace(
    workers.INVOCATION,
    network="TRANSPARENT_MP_WORKER_REDIS_URL (if unset, TRANSPARENT_MP_REDIS_URL) must be an address by "
    "which other machines reach it, not each machine's own",
)


def check(config: Config, function: str, clients: Clients) -> Iterator[Line]:
    """All that lies between here and an invocation; what fails ends it."""
    try:
        with explained(DeployError):
            who = clients("sts").get_caller_identity()
            yield well("AWS", f"{who['Arn']}, region {clients.region}")
    except DeployError as error:
        yield wrong(
            "AWS", str(error), "programs on Lambda use the same credentials: aws configure, or aws sso login"
        )
        return
    try:
        with explained(DeployError):
            yield from _function(config, function, clients)
    except DeployError as error:
        yield wrong(f"the function {function}", str(error), "ask for the permission, then try again")


def _function(config: Config, name: str, clients: Clients) -> Iterator[Line]:
    what, aws = f"the function {name}", clients("lambda")
    there = found(aws.get_function, "ResourceNotFoundException", FunctionName=name)
    if there is None:
        remedy = "transparent-mp deploy makes it; or check TRANSPARENT_MP_FUNCTION and the region"
        yield wrong(what, f"is not there in {clients.region}", remedy)
        return
    settings = there["Configuration"]
    if settings.get("State", "Active") != "Active":
        yield wrong(
            what, f"is {settings['State']}: {settings.get('StateReason', '')}", "wait, or deploy again"
        )
        return
    yield from _shape(what, settings)
    yield from _concurrency(config, there, clients)
    try:
        with explained(DeployError):
            aws.invoke(FunctionName=name, InvocationType="DryRun")
        yield well("invoking it", "these credentials may")
    except DeployError as error:
        yield wrong("invoking it", str(error), "programs need lambda:InvokeFunction on it")
        return
    yield from probe(config, name, aws)


def _shape(what: str, settings: dict[str, Any]) -> Iterator[Line]:
    memory, timeout = settings["MemorySize"], settings["Timeout"]
    shown = f"{memory} MB ({memory / wanted.MEMORY:.1f} vCPU), time-out {timeout} s"
    if timeout < wanted.TIMEOUT:
        remedy = "transparent-mp deploy --timeout 900: processes may live longer, and it costs nothing"
        yield doubtful(what, shown, remedy)
    elif memory < wanted.MEMORY:
        yield doubtful(
            what, shown, "with less than 1769 MB processes have less than a CPU: deploy --memory 1769"
        )
    else:
        yield well(what, shown)
    network = settings.get("VpcConfig", {}).get("SubnetIds")
    yield well("its network", f"{', '.join(network)}" if network else "the internet, no VPC")


def _concurrency(config: Config, there: dict[str, Any], clients: Clients) -> Iterator[Line]:
    reserved = there.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    if reserved is not None:
        most, whose = reserved, "reserved for it"
    else:
        try:
            with explained(DeployError):
                limits = clients("lambda").get_account_settings()["AccountLimit"]
        except DeployError as error:
            yield doubtful("workers at once", f"unknown: {error}", "lambda:GetAccountSettings would tell")
            return
        most, whose = limits["UnreservedConcurrentExecutions"], "the account's, shared by its functions"
    shown = f"{most} ({whose}); TRANSPARENT_MP_WORKERS is {config.parallelism()}"
    if most < config.parallelism():
        remedy = "lower TRANSPARENT_MP_WORKERS, deploy --concurrency N, or ask AWS for a higher quota"
        yield doubtful("workers at once", shown, remedy)
    else:
        yield well("workers at once", shown)


def probe(config: Config, name: str, aws: Any) -> Iterator[Line]:
    """What the function says of itself; `aws` invokes it."""
    what = "a worker (an invocation)"
    url = config.worker_redis_url or config.redis_url
    event = {"probe": url, "bucket": config.bucket}
    answer = aws.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    text = answer["Payload"].read().decode("utf-8", "replace")
    if answer.get("FunctionError"):
        remedy = f"its log says more: aws logs tail /aws/lambda/{name}; transparent-mp deploy renews its code"
        yield wrong(what, f"fails: {text[:300]}", remedy)
        return
    said = json.loads(text or "null")
    if not isinstance(said, dict) or "python" not in said:
        yield wrong(what, f"answers {text[:100]!r}, as no worker of ours does", "transparent-mp deploy")
        return
    yield from workers.judge(said, what, _ITS_OWN if is_here_alone(url) else workers.INVOCATION)
