from __future__ import annotations

import json
import subprocess
import sys

import pytest
from aws_server import REGION

from transparent_mp.launch.clients import Clients
from transparent_mp.launch.local import environ
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.examination import examine


def test_a_worker_says_what_it_is_and_how_far_the_store_is(session: OwnedSession) -> None:
    said = examine({"probe": session.worker_url})
    assert said["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert set(said["packages"]) == {"transparent_mp", "redis", "hiredis", "cloudpickle", "wrapt"}
    assert 0 < said["store_ms"] < 1000
    assert json.loads(json.dumps(said)) == said


def test_what_cannot_be_reached_is_said_without_passwords() -> None:
    said = examine({"probe": "redis://:secret@127.0.0.1:9"})
    assert "Connection refused" in said["store_error"]
    assert "secret" not in said["store_error"]
    assert "store_ms" not in said


@pytest.mark.usefixtures("aws")
def test_a_bucket_is_tried_when_one_is_named(session: OwnedSession) -> None:
    assert "NoSuchBucket" in examine({"probe": "", "bucket": "nowhere"})["bucket_error"]
    where = {"LocationConstraint": REGION}
    Clients()("s3").create_bucket(Bucket="here", CreateBucketConfiguration=where)
    assert examine({"probe": "", "bucket": "here"})["bucket_ms"] > 0


def test_a_worker_is_probed_on_its_standard_input() -> None:
    command = [sys.executable, "-m", "transparent_mp.cli.worker"]
    done = subprocess.run(command, input='{"probe": ""}\n', capture_output=True, text=True, env=environ())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["python"]
