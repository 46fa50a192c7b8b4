"""The function's role: what workers may do in the account, and no more.

They write their log. In a VPC, Lambda itself makes and removes network interfaces in the role's name,
which the code that runs in the function is denied. With a bucket they read and write below its prefix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from transparent_mp.errors import DeployError
from transparent_mp.launch.bucket import Place
from transparent_mp.launch.clients import found
from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import TAG, Wanted

_POLICY = "transparent-mp"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def policy(made: Made, wanted: Wanted, *, vpc: bool, bucket: str) -> dict[str, Any]:
    """The role's only policy."""
    arn = f"arn:{made.partition}"
    group = f"{arn}:logs:{made.region}:{made.account}:log-group:{wanted.log_group}:*"
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": group}
    ]
    if vpc:
        function = f"{arn}:lambda:{made.region}:{made.account}:function:{wanted.function}"
        inside = {"ArnEquals": {"lambda:SourceFunctionArn": [function]}}
        statements += [
            {"Effect": "Allow", "Action": _INTERFACES, "Resource": "*"},
            {"Effect": "Deny", "Action": _INTERFACES, "Resource": "*", "Condition": inside},
        ]
    if bucket:
        place = Place.of(bucket)
        objects = f"{arn}:s3:::{place.bucket}/{place.prefix}*"
        statements.append(
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": objects}
        )
    return {"Version": "2012-10-17", "Statement": statements}


def steps(made: Made, wanted: Wanted, present: str, *, vpc: bool) -> Iterator[Step]:
    """What is missing; `present`: ARN of the function's role; `vpc`: whether the function is to be in one."""
    iam, name = made.clients("iam"), wanted.role_name(made.region)
    others = present if present and present.rpartition("/")[2] != name else ""
    if wanted.role or others:
        made.role = wanted.role or others
        return
    there = found(iam.get_role, "NoSuchEntity", RoleName=name)
    if there is None:
        yield from _create(made, wanted, policy(made, wanted, vpc=vpc, bucket=wanted.bucket or ""))
        return
    if not _ours(there["Role"], wanted):
        raise DeployError(
            f"a role {name} is there and was not made for {wanted.function} by us: give --role ARN to "
            "use it, or another --function"
        )
    made.role = there["Role"]["Arn"]
    held = found(iam.get_role_policy, "NoSuchEntity", RoleName=name, PolicyName=_POLICY)
    document = _document(held["PolicyDocument"]) if held else {}
    # What was not asked for this time stays as it is.
    bucket = wanted.bucket if wanted.bucket is not None else _bucket(document)
    wanted_policy = policy(made, wanted, vpc=vpc, bucket=bucket)
    if document != wanted_policy:

        def put() -> None:
            _put(made, name, wanted_policy)

        yield Step("update", f"role {name}", _allowed(wanted_policy), put)


def removal(made: Made, wanted: Wanted) -> Iterator[Step]:
    """What takes it away, if it is ours."""
    iam, name = made.clients("iam"), wanted.role_name(made.region)
    there = found(iam.get_role, "NoSuchEntity", RoleName=name)
    if there is None or not _ours(there["Role"], wanted):
        return

    def delete() -> None:
        for policy_name in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
        iam.delete_role(RoleName=name)

    yield Step("delete", f"role {name}", (), delete)


def bucket_of(made: Made, wanted: Wanted) -> str:
    """The bucket that the role may use, '' for none."""
    name = wanted.role_name(made.region)
    held = found(made.clients("iam").get_role_policy, "NoSuchEntity", RoleName=name, PolicyName=_POLICY)
    return _bucket(_document(held["PolicyDocument"])) if held else ""


def _create(made: Made, wanted: Wanted, document: dict[str, Any]) -> Iterator[Step]:
    name = wanted.role_name(made.region)

    def create() -> None:
        role = made.clients("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(_TRUST),
            Description=f"What workers of transparent_mp may do ({wanted.function})",
            Tags=[{"Key": key, "Value": value} for key, value in wanted.tags.items()],
        )
        made.role = role["Role"]["Arn"]
        _put(made, name, document)

    made.role = f"{name} (new)"
    yield Step("create", f"role {name}", _allowed(document), create)


def _put(made: Made, name: str, document: dict[str, Any]) -> None:
    made.clients("iam").put_role_policy(
        RoleName=name, PolicyName=_POLICY, PolicyDocument=json.dumps(document)
    )


def _ours(role: dict[str, Any], wanted: Wanted) -> bool:
    return {"Key": TAG, "Value": wanted.function} in role.get("Tags", [])


def _document(held: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(held) if isinstance(held, str) else held
    return document


def _bucket(document: dict[str, Any]) -> str:
    for statement in document.get("Statement", ()):
        if "s3:GetObject" in statement["Action"]:
            objects: str = statement["Resource"]
            return objects.partition(":::")[2].rstrip("*")
    return ""


def _allowed(document: dict[str, Any]) -> list[str]:
    return [
        f"{'may' if statement['Effect'] == 'Allow' else 'its code may not'} "
        f"{', '.join(statement['Action'])} on {statement['Resource']}"
        for statement in document["Statement"]
    ]
