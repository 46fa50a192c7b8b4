from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from aws_server import REGION, Aws
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody

from transparent_mp.errors import DepotError, UntrustedPayloadError
from transparent_mp.launch.bucket import READS, Bucket, Place, equip
from transparent_mp.launch.clients import Clients
from transparent_mp.store.content import deposit
from transparent_mp.store.session import OwnedSession

CONTENT = b"content" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KEY = f"transparent-mp/session/{DIGEST}"


@pytest.fixture
def s3(aws: Aws) -> Any:
    client = Clients()("s3")
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="bucket").get("Contents", ())]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("name", "transparent-mp/"), ("name/a/b", "a/b/"), ("name/a/", "a/"), ("name/", "transparent-mp/")],
)
def test_a_place_is_a_bucket_and_a_prefix(text: str, prefix: str) -> None:
    assert Place.of(text) == Place("name", prefix)


def test_a_content_lies_below_its_session_by_digest(s3: Any) -> None:
    Bucket("bucket", "session").put(DIGEST, memoryview(CONTENT))
    assert keys(s3) == [KEY]
    assert b"".join(Bucket("bucket", "session").stream(DIGEST)) == CONTENT


def test_a_content_is_put_once_by_a_process(s3: Any) -> None:
    depot = Bucket("bucket", "session")
    depot.put(DIGEST, CONTENT)
    s3.delete_object(Bucket="bucket", Key=KEY)
    depot.put(DIGEST, CONTENT)
    assert keys(s3) == []


def test_another_content_is_not_used(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key=KEY, Body=b"other")
    with pytest.raises(UntrustedPayloadError, match="is not what its digest says"):
        b"".join(Bucket("bucket", "session").stream(DIGEST))


@pytest.mark.usefixtures("s3")
def test_what_is_gone_is_said_with_the_causes() -> None:
    with pytest.raises(DepotError, match=r"not \(any more\) in the bucket bucket.*lifecycle rule"):
        b"".join(Bucket("bucket", "session").stream(DIGEST))


def test_who_may_not_is_told_which_permission(s3: Any, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.user("s3:GetObject").items():
        monkeypatch.setenv(name, value)
    aws.let_permissions_count()
    with pytest.raises(
        ConnectionError, match=r"cannot be written: AWS refuses PutObject.*transparent-mp doctor"
    ):
        Bucket("bucket", "session").put(DIGEST, CONTENT)


def cut_off(after: int, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers end too early, some times."""
    whole, left = StreamingBody.iter_chunks, iter(range(times))

    def pieces(body: StreamingBody, _size: int) -> Iterator[bytes]:
        for number, piece in enumerate(whole(body, 1000)):
            if number == after and next(left, None) is not None:
                raise ReadTimeoutError(endpoint_url="s3", error="cut off")
            yield piece

    monkeypatch.setattr(StreamingBody, "iter_chunks", pieces)


def test_an_answer_that_is_cut_off_is_read_on(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    depot = Bucket("bucket", "session")
    depot.put(DIGEST, CONTENT)
    cut_off(2, READS - 1, monkeypatch)
    assert b"".join(depot.stream(DIGEST)) == CONTENT


def test_one_that_is_cut_off_too_often_is_said(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    depot = Bucket("bucket", "session")
    depot.put(DIGEST, CONTENT)
    cut_off(1, READS, monkeypatch)
    with pytest.raises(DepotError, match="cannot be read"):
        b"".join(depot.stream(DIGEST))


def test_only_the_sessions_own_contents_are_cleared(s3: Any) -> None:
    Bucket("bucket", "other").put(DIGEST, CONTENT)
    depot = Bucket("bucket", "session")
    for number in range(3):
        depot.put(hashlib.sha256(bytes([number])).hexdigest(), bytes([number]))
    depot.clear()
    assert keys(s3) == [KEY.replace("session", "other")]


def test_more_than_one_call_can_delete_is_cleared(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transparent_mp.launch.bucket._DELETED_AT_ONCE", 2)
    depot = Bucket("bucket", "session")
    for number in range(5):
        depot.put(hashlib.sha256(bytes([number])).hexdigest(), bytes([number]))
    depot.clear()
    assert keys(s3) == []


@pytest.mark.usefixtures("s3")
def test_a_forked_child_does_not_use_its_parents_connections() -> None:
    depot = Bucket("bucket", "session")
    depot.put(DIGEST, CONTENT)
    before = depot._s3()
    child = os.fork()
    if child == 0:
        mine = depot._s3()
        os._exit(0 if mine is not before and b"".join(depot.stream(DIGEST)) == CONTENT else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert depot._s3() is before


@pytest.mark.usefixtures("aws")
def test_a_client_made_ahead_is_used_by_forked_children() -> None:
    depot = Bucket("bucket", "session")
    depot.prepare()
    prepared = depot._clients("s3")
    child = os.fork()
    if child == 0:
        os._exit(0 if depot._s3() is prepared else 1)
    assert os.waitpid(child, 0)[1] == 0


def end(session: OwnedSession) -> None:
    """What a session does at its end, of which the depot's part is looked at."""
    for callback in [*session.before_end]:
        callback()
    for callback in session.after_end:
        callback()


@pytest.mark.usefixtures("s3")
def test_a_session_that_used_its_depot_clears_it(session: OwnedSession, s3: Any) -> None:
    session.bucket = "bucket"
    equip(session)
    assert session.depot is not None
    commands = deposit(session, DIGEST, CONTENT)
    assert len(keys(s3)) == 1
    session.store.call(*commands)
    end(session)
    assert keys(s3) == []


@pytest.mark.usefixtures("s3")
def test_one_that_did_not_asks_nobody(session: OwnedSession) -> None:
    session.bucket = "bucket"
    equip(session)
    end(session)
    assert session.after_end == []


@pytest.mark.usefixtures("s3")
def test_a_lost_store_does_not_keep_the_rest_of_the_end_from_happening(
    session: OwnedSession, s3: Any
) -> None:
    session.bucket = "bucket"
    equip(session)
    session.store.call(*deposit(session, DIGEST, CONTENT))
    session.store.close()
    end(session)
    assert keys(s3) == []


@pytest.mark.usefixtures("aws")
def test_what_cannot_be_cleared_is_logged(session: OwnedSession, caplog: pytest.LogCaptureFixture) -> None:
    session.bucket = "nowhere"
    equip(session)
    session.store.call(("SET", session.keys("depot"), 1))
    end(session)
    assert "contents of this session stay behind: the bucket nowhere cannot be cleared" in caplog.text


def test_without_a_bucket_there_is_no_depot(session: OwnedSession) -> None:
    equip(session)
    assert session.depot is None
    assert session.before_end == []
