from __future__ import annotations

from typing import Any

import pytest
from aws_server import REGION, Aws

from transparent_mp.cli.checks import amazon
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.config import Config
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment.deploying import Codes, Deployment, carry_out
from transparent_mp.launch.deployment.packages import Archive
from transparent_mp.launch.deployment.wanted import Wanted
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.examination import examine

NAME = "f"
#: An empty zip.
EMPTY = b"PK\x05\x06" + bytes(18)


def deploy(**wanted: Any) -> None:
    steps = Deployment(Wanted(NAME, **wanted), Clients()).creation(Codes(Archive(EMPTY, 0, ())))
    carry_out(steps, lambda _: None)


def check(**settings: Any) -> dict[str, Line]:
    return {line.what: line for line in amazon.check(Config(**settings), NAME, Clients())}


def test_a_function_is_told_with_its_limits_and_what_a_worker_says(aws: Aws, session: OwnedSession) -> None:
    deploy(concurrency=100)
    aws.will_answer({"StatusCode": 204})
    aws.will_answer(examine({"probe": session.worker_url}))
    lines = check(workers=10, redis_url=session.worker_url)
    assert {line.verdict for line in lines.values()} == {Verdict.WELL}, lines
    assert "1769 MB (1.0 vCPU), time-out 900 s" in lines[f"the function {NAME}"].found
    assert lines["workers at once"].found.startswith("100 (reserved for it)")
    assert lines["Redis from a worker (an invocation)"].found.endswith(" ms")
    assert REGION in lines["AWS"].found


def test_what_is_small_is_looked_at(aws: Aws) -> None:
    deploy(concurrency=5, timeout=60)
    lines = check(workers=10)
    assert lines["workers at once"].verdict is Verdict.DOUBTFUL
    assert "--timeout 900" in lines[f"the function {NAME}"].remedy


def test_an_unknown_limit_is_said(aws: Aws) -> None:
    deploy()
    # moto does not know this call.
    assert "lambda:GetAccountSettings" in check()["workers at once"].remedy


@pytest.mark.usefixtures("aws")
def test_a_function_that_is_not_there_is_said_with_what_makes_it() -> None:
    line = check()[f"the function {NAME}"]
    assert line.verdict is Verdict.WRONG
    assert "transparent-mp deploy" in line.remedy


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"errorMessage": "no module"}, "as no worker of ours does"),
        ({"python": "2.7.1", "machine": "m"}, "2.7.1 there"),
    ],
)
def test_an_invocation_that_is_not_well_is_told(answer: dict[str, Any], found: str, aws: Aws) -> None:
    deploy()
    aws.will_answer({"StatusCode": 204})
    aws.will_answer(answer)
    (line,) = [line for line in check().values() if line.verdict is Verdict.WRONG]
    assert found in line.found


@pytest.mark.parametrize(
    ("url", "remedy"),
    [("redis://localhost:6379", "not each machine's own"), ("redis://10.0.0.1", "must be in a VPC")],
)
def test_an_address_that_a_worker_cannot_use_is_told_with_its_reason(aws: Aws, url: str, remedy: str) -> None:
    deploy()
    aws.will_answer({"StatusCode": 204})
    aws.will_answer({**examine({"probe": ""}), "store_error": "refused"})
    line = check(worker_redis_url=url)["Redis from a worker (an invocation)"]
    assert line.verdict is Verdict.WRONG
    assert remedy in line.remedy


def test_without_credentials_nothing_more_is_tried(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (line,) = check().values()
    assert line.verdict is Verdict.WRONG
    assert "no usable AWS credentials" in line.found
