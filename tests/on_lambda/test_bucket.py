"""Large contents through a bucket that the client and the functions reach, with credentials of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from aws_server import Aws
from lambda_front import BRIDGE, Front

from transparent_mp.launch.clients import Clients
from transparent_mp.store.connect import connect

BUCKET = "contents-of-functions"
SIZE = 3_000_000


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """An S3 where environments can reach it."""
    del store  # It has made the bridge.
    aws = Aws(BRIDGE)
    for name, value in aws.environ.items():
        monkeypatch.setenv(name, value)
    aws.reset()
    where = {"LocationConstraint": os.environ["AWS_REGION"]}
    Clients()("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    yield aws
    aws.stop()


def carried(store: str) -> int:
    """Bytes that have come into the server and gone out of it."""
    link = connect(store)
    link.send([("INFO", "stats")])
    text = link.read().decode()
    link.close()
    return sum(int(number) for number in re.findall(r"total_net_(?:in|out)put_bytes:(\d+)", text))


def test_arguments_and_results_pass_by_redis(
    front: Callable[..., Front],
    start: Callable[..., Any],
    store: str,
    bucket: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = f"""
        import multiprocessing as mp

        table = bytes(range(250)) * ({SIZE} // 250)

        def turned(given):
            return given[::-1] + table[:1]

        if __name__ == "__main__":
            given = [bytes([n]) + bytes({SIZE}) for n in range(4)]
            with mp.Pool(2) as pool:
                print(pool.map(turned, given, 1) == [one[::-1] + table[:1] for one in given])
    """
    there = front(variables={"AWS_ENDPOINT_URL_S3": bucket.url})
    plain = there.environ

    def environ(store: str, **settings: str) -> dict[str, str]:
        return {**plain(store, **settings), "AWS_ENDPOINT_URL_S3": bucket.url}

    monkeypatch.setattr(there, "environ", environ)
    before = carried(store)
    ran = start(there, text, BUCKET=BUCKET).finish()
    assert (ran.out, ran.status) == ("True\n", 0), ran.err
    assert carried(store) - before < SIZE / 4
    assert Clients()("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
