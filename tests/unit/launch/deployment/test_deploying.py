"""Against moto's AWS. What is looked at is what AWS then has."""

from __future__ import annotations

import functools
import io
import json
import os
import zipfile
from typing import Any

import pytest
from aws_server import REGION, Aws

from transparent_mp.errors import DeployError
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment import packages
from transparent_mp.launch.deployment.deploying import Codes, Deployment, carry_out
from transparent_mp.launch.deployment.packages import Archive
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import HANDLER, Wanted, this_python


@functools.lru_cache
def clients_of(_endpoint: str, _key: str) -> Clients:
    """Made once: that takes longer than most of what is asked of them."""
    return Clients()


def aws_clients() -> Clients:
    return clients_of(os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_ACCESS_KEY_ID"])


NAME = "f"
ROLE = f"{NAME}-{REGION}"


def zipped(text: str = "", unzipped: int = 0) -> Archive:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr(zipfile.ZipInfo("content.py"), text)
    return Archive(content.getvalue(), unzipped or len(text), [("content.py", len(text))])


CODE = Codes(zipped("code"))


def plan(codes: Codes = CODE, **wanted: Any) -> list[Step]:
    return Deployment(Wanted(NAME, **wanted), aws_clients()).creation(codes)


def deploy(codes: Codes = CODE, **wanted: Any) -> list[str]:
    """What was done, a line for each step."""
    steps = plan(codes, **wanted)
    carry_out(steps, lambda _: None)
    return [f"{step.verb} {step.what}" for step in steps]


def destroy() -> list[str]:
    steps = Deployment(Wanted(NAME), aws_clients()).removal()
    carry_out(steps, lambda _: None)
    return [f"{step.verb} {step.what}" for step in steps]


def configuration() -> dict[str, Any]:
    answer: dict[str, Any] = aws_clients()("lambda").get_function(FunctionName=NAME)["Configuration"]
    return answer


def policy() -> dict[str, Any]:
    answer = aws_clients()("iam").get_role_policy(RoleName=ROLE, PolicyName="transparent-mp")
    document: dict[str, Any] = answer["PolicyDocument"]
    return document


def left() -> dict[str, Any]:
    """All that an account holds of what we make."""
    clients = aws_clients()
    return {
        "functions": [item["FunctionName"] for item in clients("lambda").list_functions()["Functions"]],
        "layers": [item["LayerName"] for item in clients("lambda").list_layers()["Layers"]],
        "roles": [item["RoleName"] for item in clients("iam").list_roles()["Roles"]],
        "logs": [item["logGroupName"] for item in clients("logs").describe_log_groups()["logGroups"]],
        "buckets": [item["Name"] for item in clients("s3").list_buckets()["Buckets"]],
    }


pytestmark = pytest.mark.usefixtures("aws")


def test_all_is_made_in_order_and_then_nothing_is_to_do() -> None:
    assert deploy() == [
        f"create role {ROLE}",
        f"create log group /aws/lambda/{NAME}",
        f"create function {NAME}",
        f"create event settings of {NAME}",
    ]
    made = configuration()
    assert (made["MemorySize"], made["Timeout"], made["Handler"]) == (1769, 900, HANDLER)
    assert made["Role"].endswith(":role/" + ROLE)
    (group,) = aws_clients()("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 14
    (statement,) = policy()["Statement"]
    assert statement["Resource"] == f"arn:aws:logs:{REGION}:123456789012:log-group:/aws/lambda/{NAME}:*"
    events = aws_clients()("lambda").get_function_event_invoke_config(FunctionName=NAME)
    assert (events["MaximumRetryAttempts"], events["MaximumEventAgeInSeconds"]) == (0, 60)
    assert deploy() == []


def test_a_plan_alone_changes_nothing() -> None:
    before = left()
    assert len(plan(bucket="my-bucket")) == 5
    assert left() == before


def test_only_what_is_said_changes() -> None:
    deploy(memory=3008, environ={"A": "1"}, concurrency=7)
    assert deploy(timeout=600) == [f"update function {NAME}"]
    made = configuration()
    assert (made["MemorySize"], made["Timeout"]) == (3008, 600)
    assert made["Environment"]["Variables"] == {"A": "1"}
    assert deploy(memory=3008, concurrency=7) == []
    assert deploy(concurrency=-1) == [f"delete concurrency of {NAME}"]


def test_new_code_is_the_only_step_of_a_new_version() -> None:
    deploy()
    before = configuration()["CodeSha256"]
    assert deploy(Codes(zipped("newer"))) == [f"update code of {NAME}"]
    assert configuration()["CodeSha256"] != before
    assert deploy(Codes(zipped("newer"))) == []


def test_values_of_the_environment_are_compared_and_not_shown() -> None:
    deploy(environ={"PASSWORD": "old"})
    (step,) = plan(environ={"PASSWORD": "secret"})
    shown = "\n".join(step.lines())
    assert "PASSWORD" in shown
    assert "secret" not in shown


def test_in_a_vpc_the_role_may_have_interfaces_and_the_code_may_not() -> None:
    deploy(subnets=["subnet-1"], security_groups=["sg-1"])
    assert configuration()["VpcConfig"]["SubnetIds"] == ["subnet-1"]
    effects = [
        (item["Effect"], "ec2:CreateNetworkInterface" in item["Action"]) for item in policy()["Statement"]
    ]
    assert effects == [("Allow", False), ("Allow", True), ("Deny", True)]
    assert deploy() == []
    assert deploy(subnets=(), security_groups=()) == [f"update role {ROLE}", f"update function {NAME}"]
    assert len(policy()["Statement"]) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"subnets": ["subnet-1"]}, "--subnets needs --security-groups"),
        ({"security_groups": ["sg-1"]}, "--security-groups needs --subnets"),
    ],
)
def test_half_of_a_vpc_is_refused_before_anything_is_made(words: dict[str, Any], why: str) -> None:
    with pytest.raises(DeployError, match=why):
        plan(**words)


def test_of_a_function_in_a_vpc_either_half_may_be_changed() -> None:
    deploy(subnets=["subnet-1"], security_groups=["sg-1"])
    assert deploy(subnets=["subnet-2"]) == deploy(security_groups=["sg-2"]) == [f"update function {NAME}"]
    assert configuration()["VpcConfig"]["SecurityGroupIds"] == ["sg-2"]


def test_a_function_leaves_its_vpc_with_the_role_that_it_needs_for_it() -> None:
    deploy(subnets=["subnet-1"], security_groups=["sg-1"])
    assert destroy() == [f"delete function {NAME}", f"delete log group /aws/lambda/{NAME}"]
    assert left()["roles"] == [ROLE]
    assert destroy() == [f"delete role {ROLE}"]


def test_a_layer_gets_a_version_when_its_content_is_new(aws: Aws) -> None:
    aws.let_functions_answer(False)
    first = Codes(zipped("code"), zipped("packages"))
    deploy(first)
    (layer,) = configuration()["Layers"]
    assert layer["Arn"].endswith(f":layer:{NAME}-packages:1")
    assert deploy(first) == []
    assert deploy() == []
    second = Codes(zipped("code"), zipped("other packages"))
    assert deploy(second) == [f"update layer {NAME}-packages", f"update function {NAME}"]
    (layer,) = configuration()["Layers"]
    assert layer["Arn"].endswith(":2")
    destroy()
    assert left()["layers"] == []


def test_a_layer_is_for_the_functions_python_and_machine(aws: Aws) -> None:
    aws.let_functions_answer(False)
    deploy(Codes(zipped("code"), zipped("packages")), python="3.11", architecture="arm64")
    with pytest.raises(
        DeployError, match=r"is for Python 3.11 on arm64, .* for Python 3.12 on arm64: give --req"
    ):
        plan(python="3.12")
    deploy(Codes(zipped("code"), zipped("packages")), python="3.12")
    (layer,) = configuration()["Layers"]
    assert layer["Arn"].endswith(":2")
    assert configuration()["Runtime"] == "python3.12"
    assert deploy(python="3.12", no_layer=True) == [f"update function {NAME}"]
    assert configuration()["Layers"] == []


def test_a_function_follows_the_python_of_the_programs() -> None:
    deploy(python="3.8", architecture="arm64")
    (step, *_) = plan()
    assert f"runtime: python3.8 -> python{this_python()}" in step.details
    assert Deployment(Wanted(NAME), Clients()).platform.architecture == "arm64"


def test_a_bucket_is_made_closed_and_forgetful_and_the_role_may_use_it() -> None:
    deploy(bucket="my-bucket/here")
    s3 = aws_clients()("s3")
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="my-bucket")["Rules"]
    assert (rule["Filter"], rule["Expiration"]) == ({"Prefix": "here/"}, {"Days": 7})
    assert all(s3.get_public_access_block(Bucket="my-bucket")["PublicAccessBlockConfiguration"].values())
    assert policy()["Statement"][-1]["Resource"] == "arn:aws:s3:::my-bucket/here/*"
    assert deploy() == []


def test_a_bucket_that_was_there_is_used_and_stays() -> None:
    s3 = aws_clients()("s3")
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert "create bucket theirs" not in deploy(bucket="theirs")
    destroy()
    assert left()["buckets"] == ["theirs"]


def test_code_above_the_limit_goes_through_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transparent_mp.launch.deployment.storage.DIRECT", 10)
    with pytest.raises(DeployError, match=r"can be sent directly: give --bucket NAME"):
        plan()
    deploy(bucket="my-bucket")
    assert configuration()["CodeSize"] == len(CODE.code.content)  # type: ignore[union-attr]
    assert "Contents" not in aws_clients()("s3").list_objects_v2(Bucket="my-bucket")


def test_code_that_no_function_may_have_is_refused_before_anything_is_made() -> None:
    before = left()
    with pytest.raises(DeployError, match="--write-dockerfile"):
        plan(Codes(zipped("code"), zipped("packages", packages.UNZIPPED)))
    assert left() == before


def test_destroy_removes_what_was_made_and_nothing_else(aws: Aws) -> None:
    aws.let_functions_answer(False)
    clients = aws_clients()
    clients("logs").create_log_group(logGroupName="/aws/lambda/f-other")
    clients("iam").create_role(RoleName=f"{ROLE}-other", AssumeRolePolicyDocument=json.dumps({}))
    before = left()
    deploy(Codes(zipped("code"), zipped("packages")), bucket="my-bucket")
    clients("s3").put_object(Bucket="my-bucket", Key="transparent-mp/session/content", Body=b"1")
    assert destroy() == [
        f"delete function {NAME}",
        f"delete layer {NAME}-packages",
        f"delete role {ROLE}",
        f"delete log group /aws/lambda/{NAME}",
        "delete bucket my-bucket",
    ]
    assert left() == before
    assert destroy() == []


def test_what_another_has_made_is_left_alone() -> None:
    clients = aws_clients()
    clients("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({}))
    with pytest.raises(DeployError, match=rf"a role {ROLE} is there .* --role ARN"):
        plan()
    role = clients("iam").get_role(RoleName=ROLE)["Role"]["Arn"]
    clients("lambda").create_function(
        FunctionName=NAME, Role=role, Runtime="python3.11", Handler="a.b", Code={"ZipFile": zipped().content}
    )
    with pytest.raises(DeployError, match="was not made by transparent-mp"):
        plan()
    with pytest.raises(DeployError, match="was not made by transparent-mp"):
        destroy()


def test_a_role_of_the_users_is_used_and_kept() -> None:
    arn = aws_clients()("iam").create_role(
        RoleName="theirs",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    assert f"create role {ROLE}" not in deploy(role=arn)
    assert configuration()["Role"] == arn
    assert deploy() == []
    destroy()
    assert left()["roles"] == ["theirs"]


def test_a_refusal_names_the_permission_and_the_next_run_goes_on(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = aws.user("iam:GetRole", "iam:CreateRole")
    with monkeypatch.context() as someone:
        for name, value in limited.items():
            someone.setenv(name, value)
        steps = plan()
        aws.let_permissions_count()
        with pytest.raises(DeployError, match=r"AWS refuses PutRolePolicy: .*iam:PutRolePolicy; ask who"):
            carry_out(steps, lambda _: None)
        aws.let_permissions_count(False)
    assert deploy()[0] == f"update role {ROLE}"
    assert deploy() == []


def test_a_zip_does_not_become_an_image() -> None:
    deploy()
    with pytest.raises(DeployError, match="is of type Zip and AWS does not let it become Image"):
        plan(Codes(None), image="registry/f:latest")
