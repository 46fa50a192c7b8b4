from __future__ import annotations

import subprocess
import sys

import pytest
from aws_server import Aws
from botocore.exceptions import ClientError

from transparent_mp.errors import DeployError
from transparent_mp.launch.clients import Clients, explain, explained, found


def test_clients_are_made_once_and_work_in_the_region_of_the_environment(aws: Aws) -> None:
    clients = Clients()
    assert clients("sts") is clients("sts")
    assert clients.region == "eu-west-1"
    assert Clients("us-west-2").region == "us-west-2"


def test_boto3_is_not_imported_before_a_client_is_asked_for() -> None:
    code = "import sys; from transparent_mp.launch import clients as c; c.Clients(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore"} & set(done.stdout.split())


@pytest.mark.usefixtures("aws")
def test_what_may_be_missing_is_none_and_other_errors_stay() -> None:
    iam = Clients()("iam")
    assert found(iam.get_role, "NoSuchEntity", RoleName="nobody") is None
    with pytest.raises(DeployError, match="AWS answers GetRole with NoSuchEntity"), explained(DeployError):
        found(iam.get_role, "Other", RoleName="nobody")


@pytest.mark.usefixtures("aws")
def test_a_region_that_is_missing_and_an_endpoint_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("transparent_mp.launch.clients.ATTEMPTS", 1)
    with (
        pytest.raises(DeployError, match=r"AWS cannot be reached .*AWS_ENDPOINT_URL"),
        explained(DeployError),
    ):
        Clients()("sts").get_caller_identity()
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(DeployError, match="set AWS_REGION"), explained(DeployError):
        Clients()("lambda")


def test_what_is_said_in_many_lines_is_one_and_a_page_of_html_is_not_aws() -> None:
    def answered(said: str) -> str:
        return explain(ClientError({"Error": {"Code": "502", "Message": said}}, "Invoke"))

    assert answered("so\n  it is\n") == "AWS answers Invoke with 502: so it is"
    assert answered("<!doctype html>\n<html>\n<h1>Bad Gateway</h1>") == (
        "what answers Invoke with a page of HTML (502) is not AWS: "
        "check AWS_ENDPOINT_URL, HTTPS_PROXY and the network"
    )
