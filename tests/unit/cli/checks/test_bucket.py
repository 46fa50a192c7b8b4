from __future__ import annotations

from typing import Any

import pytest
from aws_server import REGION, Aws

from transparent_mp.cli.checks import bucket
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.config import Config
from transparent_mp.launch.bucket import Place
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment.storage import lifecycle_rule

NAME = "of-tests"
CONFIG = Config(bucket=NAME)


@pytest.fixture
def s3(aws: Aws) -> Any:
    client = Clients()("s3")
    client.create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


def check() -> list[Line]:
    return list(bucket.check(CONFIG, Clients()))


def test_without_a_bucket_there_is_nothing_to_say() -> None:
    assert [*bucket.check(Config(), Clients()), *bucket.clear(Config())] == []


def test_what_is_put_for_a_try_is_deleted(s3: Any) -> None:
    assert check()[0].verdict is Verdict.WELL
    assert s3.list_objects_v2(Bucket=NAME)["KeyCount"] == 1
    (line,) = bucket.clear(CONFIG)
    assert line.verdict is Verdict.WELL
    assert s3.list_objects_v2(Bucket=NAME)["KeyCount"] == 0


def test_a_rule_is_looked_for(s3: Any) -> None:
    assert check()[1].found == "stays for ever"
    for prefix, verdict in (
        ("other/", Verdict.DOUBTFUL),
        ("transparent-mp/", Verdict.WELL),
        ("", Verdict.WELL),
    ):
        rules = {"Rules": [lifecycle_rule(Place(NAME, prefix))]}
        s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration=rules)
        assert check()[1].verdict is verdict


@pytest.mark.usefixtures("aws")
def test_one_that_is_not_there_is_said() -> None:
    (line,) = check()
    assert line.verdict is Verdict.WRONG
    assert "NoSuchBucket" in line.found
    (line,) = bucket.clear(CONFIG)
    assert "s3:DeleteObject" in line.remedy


def test_who_may_not_is_told_what_is_needed(s3: Any, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.user("s3:GetObject", "s3:PutObject").items():
        monkeypatch.setenv(name, value)
    aws.let_permissions_count()
    tried, rule = check()
    assert (tried.verdict, rule.verdict) == (Verdict.WELL, Verdict.DOUBTFUL)
    assert "AWS refuses GetBucketLifecycleConfiguration" in rule.found
    (line,) = bucket.clear(CONFIG)
    assert line.verdict is Verdict.WRONG
